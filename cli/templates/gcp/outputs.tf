output "project" {
  description = "The project."
  value       = var.project
}

output "region" {
  description = "The region."
  value       = var.region
}

output "image" {
  description = "The image that the services run."
  value       = local.image
}

output "services" {
  description = "The services of Cloud Run, by the kind of their triggers."

  value = {
{{services}}
  }
}

output "urls" {
  description = "The addresses of the services, which are the audiences of the tokens in calls of triggers."

  value = {
{{urls}}
  }
}
