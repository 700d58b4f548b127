output "region" {
  description = "The region."
  value       = var.region
}

output "functions" {
  description = "The functions, by the kind of their triggers."
  value       = { {{functions}} }
}

output "log_groups" {
  description = "The log groups of the functions."
  value       = [{{log_groups}}]
}
