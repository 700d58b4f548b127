# The source of the events of all buckets.
resource "azurerm_eventgrid_system_topic" "buckets" {
  name                = "${local.unique}-buckets"
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  source_resource_id  = azurerm_storage_account.app.id
  topic_type          = "Microsoft.Storage.StorageAccounts"
  tags                = local.tags

  identity {
    type = "SystemAssigned"
  }
}

