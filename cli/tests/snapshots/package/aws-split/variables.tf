# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

variable "region" {
  description = "The region of all resources."
  type        = string
}

variable "tags" {
  description = "More tags for all resources."
  type        = map(string)
  default     = {}
}

variable "environment" {
  description = "More variables for the app. They are no place for secrets: the state contains them."
  type        = map(string)
  default     = {}
}

variable "protect_data" {
  description = "Refuse to delete tables, and buckets that are not empty."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Keep continuous backups of tables for 35 days."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30
}

variable "alarms" {
  description = "Make an alarm for each queue of dead letters."
  type        = bool
  default     = true
}

variable "alarm_actions" {
  description = "The ARNs that an alarm notifies, such as that of an SNS topic."
  type        = list(string)
  default     = []
}

variable "memory_http" {
  description = "The memory of the function shop-dev-http in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout_http" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_http >= 1 && var.timeout_http <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

variable "memory_messages" {
  description = "The memory of the function shop-dev-messages in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout_messages" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_messages >= 1 && var.timeout_messages <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

variable "memory_objects" {
  description = "The memory of the function shop-dev-objects in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout_objects" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_objects >= 1 && var.timeout_objects <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

variable "memory_writes" {
  description = "The memory of the function shop-dev-writes in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout_writes" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_writes >= 1 && var.timeout_writes <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

variable "memory_schedules" {
  description = "The memory of the function shop-dev-schedules in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout_schedules" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_schedules >= 1 && var.timeout_schedules <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

variable "memory_invokes" {
  description = "The memory of the function shop-dev-invokes in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout_invokes" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout_invokes >= 1 && var.timeout_invokes <= 300
    error_message = "The timeout must be from 1 to 300 seconds: isobar counts on queues that wait six times as long."
  }
}

variable "function_url" {
  description = "Serve HTTP by a Function URL in place of an HTTP API: responses stream, and can take longer than 30 seconds."
  type        = bool
  default     = false
}

variable "domain" {
  description = "A custom domain of the HTTP API, and the ARN of its certificate in the same region."
  type        = object({ name = string, certificate_arn = string })
  default     = null
}
