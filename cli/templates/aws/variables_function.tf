variable "memory{{end}}" {
  description = "The memory of {{what}} in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout{{end}}" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout{{end}} >= 1 && var.timeout{{end}} <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

