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

