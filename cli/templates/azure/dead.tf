resource "azurerm_servicebus_queue" "{{id}}" {
  name         = "${local.prefix}{{name}}"
  namespace_id = azurerm_servicebus_namespace.app.id
}

