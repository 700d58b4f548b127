# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

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

resource "azurerm_cosmosdb_sql_container" "links" {
  name                  = "${local.prefix}links"
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

resource "azurerm_cosmosdb_sql_container" "prices" {
  name                  = "${local.prefix}prices"
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

# The Functions host keeps its positions in the feeds of writes here.
resource "azurerm_cosmosdb_sql_container" "isobar_leases" {
  name                  = "isobar--leases"
  resource_group_name   = azurerm_resource_group.app.name
  account_name          = azurerm_cosmosdb_account.app.name
  database_name         = azurerm_cosmosdb_sql_database.app.name
  partition_key_paths   = ["/id"]
  partition_key_version = 2
}
