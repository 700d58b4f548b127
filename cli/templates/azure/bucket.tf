resource "azurerm_storage_container" "{{id}}" {
  name               = "${local.prefix}{{name}}"
  storage_account_id = azurerm_storage_account.app.id
}

