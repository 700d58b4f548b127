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

variable "memory" {
  description = "The memory of the function in MB. Its processor time is in proportion: 1769 MB is one core."
  type        = number
  default     = 512
}

variable "timeout" {
  description = "The longest time of one event in seconds: at most 300. An HTTP API waits for 30."
  type        = number
  default     = 30

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 300
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
