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
