resource "azurerm_servicebus_topic" "{{id}}" {
  name         = "${local.prefix}{{name}}"
  namespace_id = azurerm_servicebus_namespace.app.id
}

# For messages with an ordering key.
resource "azurerm_servicebus_topic" "{{id}}_fifo" {
  name         = "${local.prefix}{{name}}--fifo"
  namespace_id = azurerm_servicebus_namespace.app.id
}

