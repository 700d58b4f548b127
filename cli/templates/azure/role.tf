# {{purpose}}
resource "azurerm_role_assignment" "{{id}}" {
  scope                = {{scope}}
  role_definition_name = "{{role}}"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

