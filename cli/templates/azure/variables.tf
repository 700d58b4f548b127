variable "region" {
  description = "The region of all resources."
  type        = string
}

variable "subscription_id" {
  description = "The ID of the subscription."
  type        = string
  default     = null
}

variable "tags" {
  description = "More tags for all resources."
  type        = map(string)
  default     = {}
}

variable "environment" {
  description = "More app settings. They are no place for secrets: the state contains them."
  type        = map(string)
  default     = {}
}

variable "memory" {
  description = "The memory of an instance in MB: 512, 2048 or 4096. Its processor time is in proportion."
  type        = number
  default     = 2048

  validation {
    condition     = contains([512, 2048, 4096], var.memory)
    error_message = "The memory must be 512, 2048 or 4096."
  }
}

variable "instances" {
  description = "The largest number of instances for each trigger, and for HTTP."
  type        = number
  default     = 100
}

variable "protect_data" {
  description = "Refuse to destroy the stage with its tables and buckets."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept, in days: at least 30."
  type        = number
  default     = 30
}

