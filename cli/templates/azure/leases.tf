# The Functions host keeps its positions in the feeds of writes here.
resource "azurerm_cosmosdb_sql_container" "{{id}}" {
  name                  = "{{name}}"
  resource_group_name   = azurerm_resource_group.app.name
  account_name          = azurerm_cosmosdb_account.app.name
  database_name         = azurerm_cosmosdb_sql_database.app.name
  partition_key_paths   = ["/id"]
  partition_key_version = 2
}

