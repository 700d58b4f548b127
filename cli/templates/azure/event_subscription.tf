resource "azurerm_role_assignment" "{{id}}_event_grid" {
  scope                = azurerm_storage_queue.{{id}}.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_eventgrid_system_topic.buckets.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "{{id}}" {
  name                 = azurerm_storage_queue.{{id}}.name
  resource_group_name  = azurerm_resource_group.app.name
  system_topic         = azurerm_eventgrid_system_topic.buckets.name
  included_event_types = ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"]

  subject_filter {
    subject_begins_with = "/blobServices/default/containers/${azurerm_storage_container.{{bucket}}.name}/"
  }

  storage_queue_endpoint {
    storage_account_id                    = azurerm_storage_account.app.id
    queue_name                            = azurerm_storage_queue.{{id}}.name
    queue_message_time_to_live_in_seconds = -1
  }

  delivery_identity {
    type = "SystemAssigned"
  }

  depends_on = [azurerm_role_assignment.{{id}}_event_grid]
}

