variable "domain" {
  description = "A custom domain, which the account that deploys has verified. Not all regions have them."
  type        = string
  default     = null
}

