resource "azurerm_servicebus_subscription" "{{id}}{{end}}" {
  name     = "${local.prefix}{{name}}"
  topic_id = azurerm_servicebus_topic.{{topic}}{{end}}.id
{{session}}
  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "{{id}}{{end}}" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.{{id}}{{end}}.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}{{name}}'"
}

