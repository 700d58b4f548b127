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

