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

