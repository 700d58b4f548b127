resource "azurerm_cosmosdb_sql_container" "{{id}}" {
  name                  = "${local.prefix}{{name}}"
  resource_group_name   = azurerm_resource_group.app.name
  account_name          = azurerm_cosmosdb_account.app.name
  database_name         = azurerm_cosmosdb_sql_database.app.name
  partition_key_paths   = ["/p"]
  partition_key_version = 2

  # Only items with a time of their own expire.
  default_ttl = -1

  # The values are not searched.
  indexing_policy {
    indexing_mode = "consistent"

    included_path {
      path = "/*"
    }

    excluded_path {
      path = "/v/?"
    }

    excluded_path {
      path = "/b/?"
    }

    excluded_path {
      path = "/w/?"
    }
  }
}

