resource "azurerm_storage_queue" "{{id}}" {
  name               = "{{name}}"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "{{id}}_dead" {
  name               = "{{poison}}"
  storage_account_id = azurerm_storage_account.app.id
}

