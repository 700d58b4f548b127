resource "azurerm_storage_container" "{{id}}" {
  name               = "${local.prefix}{{name}}"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_management_lock" "bucket_{{id}}" {
  count = var.protect_data ? 1 : 0

  name       = "protect-data"
  scope      = azurerm_storage_container.{{id}}.id
  lock_level = "CanNotDelete"
}

