
output "url" {
  description = "The address of the app."
  value       = local.url{{end}}

  # It is known before the service answers there.
  depends_on = [google_cloud_run_v2_service.{{service}}]
}

output "domain_records" {
  description = "The DNS records of the custom domain."
  value       = try(google_cloud_run_domain_mapping.http[0].status[0].resource_records, null)
}
