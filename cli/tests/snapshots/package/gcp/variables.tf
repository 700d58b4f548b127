# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

variable "project" {
  description = "The id of the project."
  type        = string
}

variable "region" {
  description = "The region of all resources."
  type        = string
}

variable "image" {
  description = "The image of the app, by its digest: REPOSITORY@sha256:DIGEST. By default it is the one in the folder image/."
  type        = string
  default     = null
}

variable "labels" {
  description = "More labels for all resources."
  type        = map(string)
  default     = {}
}

variable "environment" {
  description = "More variables for the app. They are no place for secrets: the state contains them."
  type        = map(string)
  default     = {}
}

variable "protect_data" {
  description = "Refuse to delete the database, and buckets that are not empty."
  type        = bool
  default     = true
}

variable "cpu" {
  description = "The processors of an instance of the service."
  type        = string
  default     = "1"
}

variable "memory" {
  description = "The memory of an instance of the service."
  type        = string
  default     = "512Mi"
}

variable "min_instances" {
  description = "The instances of the service that always run."
  type        = number
  default     = 0
}

variable "max_instances" {
  description = "The most instances of the service."
  type        = number
  default     = 20
}

variable "timeout" {
  description = "The longest time of one request in seconds: at most 600, the longest wait of Pub/Sub."
  type        = number
  default     = 540

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 600
    error_message = "The timeout must be from 1 to 600 seconds: Pub/Sub sends a message again after 600."
  }
}

variable "database_location" {
  description = "The location of the database, such as eur3. By default it is the region."
  type        = string
  default     = null
}

variable "point_in_time_recovery" {
  description = "Keep the old versions of tables for 7 days."
  type        = bool
  default     = true
}

variable "alarms" {
  description = "Make an alarm for the dead letters."
  type        = bool
  default     = true
}

variable "notification_channels" {
  description = "The names of the channels that the alarm notifies, such as projects/PROJECT/notificationChannels/NUMBER."
  type        = list(string)
  default     = []
}

variable "domain" {
  description = "A custom domain, which the account that deploys has verified. Not all regions have them."
  type        = string
  default     = null
}
