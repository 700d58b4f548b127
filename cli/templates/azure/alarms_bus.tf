# A dead letter is a message that no attempt could handle.
resource "azurerm_monitor_metric_alert" "dead_letters" {
  count = var.alarms ? 1 : 0

  name                = "${local.unique}-dead-letters"
  resource_group_name = azurerm_resource_group.app.name
  scopes              = [azurerm_servicebus_namespace.app.id]
  frequency           = "PT5M"
  window_size         = "PT5M"
  tags                = local.tags

  criteria {
    metric_namespace = "Microsoft.ServiceBus/namespaces"
    metric_name      = "ActiveMessages"
    aggregation      = "Maximum"
    operator         = "GreaterThan"
    threshold        = 0

    dimension {
      name     = "EntityName"
      operator = "Include"
      values = [
{{queues}}
      ]
    }
  }

  dynamic "action" {
    for_each = var.alarm_actions

    content {
      action_group_id = action.value
    }
  }
}

# Messages that ended the function each time. Service Bus keeps them in the subscription.
resource "azurerm_monitor_metric_alert" "undelivered" {
  count = var.alarms ? 1 : 0

  name                = "${local.unique}-undelivered"
  resource_group_name = azurerm_resource_group.app.name
  scopes              = [azurerm_servicebus_namespace.app.id]
  frequency           = "PT5M"
  window_size         = "PT5M"
  tags                = local.tags

  criteria {
    metric_namespace = "Microsoft.ServiceBus/namespaces"
    metric_name      = "DeadletteredMessages"
    aggregation      = "Maximum"
    operator         = "GreaterThan"
    threshold        = 0
  }

  dynamic "action" {
    for_each = var.alarm_actions

    content {
      action_group_id = action.value
    }
  }
}

