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

