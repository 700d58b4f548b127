resource "azurerm_servicebus_queue" "{{id}}" {
  name         = "${local.prefix}{{name}}"
  namespace_id = azurerm_servicebus_namespace.app.id

  # A tool that lists the dead letters counts as a delivery each time.
  max_delivery_count = 2000
}

