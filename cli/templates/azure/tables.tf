resource "azurerm_cosmosdb_account" "app" {
  name                          = local.unique
  resource_group_name           = azurerm_resource_group.app.name
  location                      = azurerm_resource_group.app.location
  offer_type                    = "Standard"
  local_authentication_disabled = true
  minimal_tls_version           = "Tls12"
  tags                          = local.tags

  capabilities {
    name = "EnableServerless"
  }

  consistency_policy {
    consistency_level = "Session"
  }

  geo_location {
    location          = azurerm_resource_group.app.location
    failover_priority = 0
  }

  # Seven days of continuous backups have no price.
  backup {
    type = "Continuous"
    tier = "Continuous7Days"
  }
}

resource "azurerm_cosmosdb_sql_database" "app" {
  name                = "isobar"
  resource_group_name = azurerm_resource_group.app.name
  account_name        = azurerm_cosmosdb_account.app.name
}

