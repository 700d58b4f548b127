# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

output "region" {
  description = "The region."
  value       = var.region
}

output "resource_group" {
  description = "The resource group with all resources."
  value       = azurerm_resource_group.app.name
}

output "function_app" {
  description = "The name of the function app."
  value       = azurerm_function_app_flex_consumption.app.name
}

output "publish" {
  description = "The command that publishes the program."
  value       = "az functionapp deployment source config-zip --resource-group ${azurerm_resource_group.app.name} --name ${azurerm_function_app_flex_consumption.app.name} --src app.zip"
}

output "url" {
  description = "The address of the app."
  value       = "https://${azurerm_function_app_flex_consumption.app.default_hostname}"
}

output "insights" {
  description = "The Application Insights with the logs."
  value       = azurerm_application_insights.app.name
}

output "data" {
  description = "The variables with which the command of isobar, or a program of yours, finds the data of the stage."

  value = {
    AZURE_COSMOS__accountEndpoint             = azurerm_cosmosdb_account.app.endpoint
    AZURE_SERVICEBUS__fullyQualifiedNamespace = "${azurerm_servicebus_namespace.app.name}.servicebus.windows.net"
    AZURE_STORAGE_ACCOUNT                     = azurerm_storage_account.app.name
    ISOBAR_STAGE                              = "dev"
  }
}

output "domain_target" {
  description = "The name to which the custom domain must be a CNAME."
  value       = try(azurerm_cdn_frontdoor_endpoint.http[0].host_name, null)
}

output "domain_token" {
  description = "The value of the TXT record _dnsauth of the custom domain."
  value       = try(azurerm_cdn_frontdoor_custom_domain.http[0].validation_token, null)
}

output "key_vault" {
  description = "The vault with the secrets and the configuration."
  value       = azurerm_key_vault.app.name
}
