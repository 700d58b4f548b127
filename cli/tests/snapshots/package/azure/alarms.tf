# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

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
        azurerm_servicebus_queue.clicks_dead.name,
        azurerm_servicebus_queue.clicks_index_dead.name,
        azurerm_servicebus_queue.orders_dead.name,
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

# A storage queue has no metric of its own, so this alarm reads the logs of the app and of the Functions host.
resource "azurerm_monitor_scheduled_query_rules_alert_v2" "dead_letters_of_queues" {
  count = var.alarms ? 1 : 0

  name                 = "${local.unique}-dead-letters-of-queues"
  resource_group_name  = azurerm_resource_group.app.name
  location             = azurerm_resource_group.app.location
  scopes               = [azurerm_log_analytics_workspace.app.id]
  severity             = 2
  evaluation_frequency = "PT5M"
  window_duration      = "PT5M"
  tags                 = local.tags

  # The table exists after the first log.
  skip_query_validation = true

  criteria {
    query                   = "AppTraces | where Message has \"the event becomes a dead letter\" or Message has \"MaxDequeueCount\""
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0
  }

  action {
    action_groups = var.alarm_actions
  }
}
