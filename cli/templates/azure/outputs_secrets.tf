
output "key_vault" {
  description = "The vault with the secrets and the configuration."
  value       = azurerm_key_vault.app.name
}
