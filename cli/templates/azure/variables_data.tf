variable "protect_data" {
  description = "Refuse to delete {{what}}."
  type        = bool
  default     = true
}

