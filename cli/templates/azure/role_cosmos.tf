# {{purpose}}
resource "azurerm_cosmosdb_sql_role_assignment" "{{id}}" {
  resource_group_name = azurerm_resource_group.app.name
  account_name        = azurerm_cosmosdb_account.app.name
  role_definition_id  = "${azurerm_cosmosdb_account.app.id}/sqlRoleDefinitions/{{role}}"
  principal_id        = azurerm_user_assigned_identity.app.principal_id
  scope               = "${azurerm_cosmosdb_account.app.id}/dbs/${azurerm_cosmosdb_sql_database.app.name}/colls/${azurerm_cosmosdb_sql_container.{{container}}.name}"
}

