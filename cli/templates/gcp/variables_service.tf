variable "cpu{{end}}" {
  description = "The processors of an instance of {{what}}."
  type        = string
  default     = "1"
}

variable "memory{{end}}" {
  description = "The memory of an instance of {{what}}."
  type        = string
  default     = "512Mi"
}

variable "min_instances{{end}}" {
  description = "The instances of {{what}} that always run."
  type        = number
  default     = 0
}

variable "max_instances{{end}}" {
  description = "The most instances of {{what}}."
  type        = number
  default     = 20
}

variable "timeout{{end}}" {
  description = "The longest time of one request in seconds: at most 600, the longest wait of Pub/Sub."
  type        = number
  default     = 540

  validation {
    condition     = var.timeout{{end}} >= 1 && var.timeout{{end}} <= 600
    error_message = "The timeout must be from 1 to 600 seconds: Pub/Sub sends a message again after 600."
  }
}

