variable "domain" {
  description = "A custom domain, such as api.example.com. It is served by Azure Front Door, which has a monthly price."
  type        = string
  default     = null
}

