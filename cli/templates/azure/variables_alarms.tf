variable "alarms" {
  description = "Make alarms for dead letters."
  type        = bool
  default     = true
}

variable "alarm_actions" {
  description = "The IDs of the action groups that an alarm notifies."
  type        = list(string)
  default     = []
}

