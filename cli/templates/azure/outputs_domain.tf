
output "domain_target" {
  description = "The name to which the custom domain must be a CNAME."
  value       = try(azurerm_cdn_frontdoor_endpoint.http[0].host_name, null)
}

output "domain_token" {
  description = "The value of the TXT record _dnsauth of the custom domain."
  value       = try(azurerm_cdn_frontdoor_custom_domain.http[0].validation_token, null)
}
