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

