# The storage account of the app: its buckets, and the queues of its triggers.
resource "azurerm_storage_account" "app" {
  name                            = local.account
  resource_group_name             = azurerm_resource_group.app.name
  location                        = azurerm_resource_group.app.location
  account_tier                    = "Standard"
  account_replication_type        = var.replication
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false
  min_tls_version                 = "TLS1_2"
  tags                            = local.tags

  # A deleted bucket can be recovered.
  blob_properties {
    container_delete_retention_policy {
      days = 30
    }
  }
}

