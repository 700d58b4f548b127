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

