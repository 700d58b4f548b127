# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# The storage account of the app: its buckets, and the queues of its triggers.
resource "azurerm_storage_account" "app" {
  name                            = local.account
  resource_group_name             = azurerm_resource_group.app.name
  location                        = azurerm_resource_group.app.location
  account_tier                    = "Standard"
  account_replication_type        = var.replication
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false
  min_tls_version                 = "TLS1_2"
  tags                            = local.tags

  # A deleted bucket can be recovered.
  blob_properties {
    container_delete_retention_policy {
      days = 30
    }
  }
}

resource "azurerm_storage_container" "pages" {
  name               = "${local.prefix}pages"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_container" "reports" {
  name               = "${local.prefix}reports"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "pages_events" {
  name               = "0events-${local.prefix}pages"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "pages_events_dead" {
  name               = "0events-${local.prefix}pages-poison"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "pages_events_thumbs" {
  name               = "0events6-thumbs-${local.prefix}pages"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "pages_events_thumbs_dead" {
  name               = "0events6-thumbs-${local.prefix}pages-poison"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "links_writes" {
  name               = "0writes-${local.prefix}links"
  storage_account_id = azurerm_storage_account.app.id
}

resource "azurerm_storage_queue" "links_writes_dead" {
  name               = "0writes-${local.prefix}links-poison"
  storage_account_id = azurerm_storage_account.app.id
}

# The source of the events of all buckets.
resource "azurerm_eventgrid_system_topic" "buckets" {
  name                = "${local.unique}-buckets"
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  source_resource_id  = azurerm_storage_account.app.id
  topic_type          = "Microsoft.Storage.StorageAccounts"
  tags                = local.tags

  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_role_assignment" "pages_events_event_grid" {
  scope                = azurerm_storage_queue.pages_events.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_eventgrid_system_topic.buckets.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "pages_events" {
  name                 = azurerm_storage_queue.pages_events.name
  resource_group_name  = azurerm_resource_group.app.name
  system_topic         = azurerm_eventgrid_system_topic.buckets.name
  included_event_types = ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"]

  subject_filter {
    subject_begins_with = "/blobServices/default/containers/${azurerm_storage_container.pages.name}/"
  }

  storage_queue_endpoint {
    storage_account_id                    = azurerm_storage_account.app.id
    queue_name                            = azurerm_storage_queue.pages_events.name
    queue_message_time_to_live_in_seconds = -1
  }

  delivery_identity {
    type = "SystemAssigned"
  }

  depends_on = [azurerm_role_assignment.pages_events_event_grid]
}

resource "azurerm_role_assignment" "pages_events_thumbs_event_grid" {
  scope                = azurerm_storage_queue.pages_events_thumbs.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_eventgrid_system_topic.buckets.identity[0].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_eventgrid_system_topic_event_subscription" "pages_events_thumbs" {
  name                 = azurerm_storage_queue.pages_events_thumbs.name
  resource_group_name  = azurerm_resource_group.app.name
  system_topic         = azurerm_eventgrid_system_topic.buckets.name
  included_event_types = ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"]

  subject_filter {
    subject_begins_with = "/blobServices/default/containers/${azurerm_storage_container.pages.name}/"
  }

  storage_queue_endpoint {
    storage_account_id                    = azurerm_storage_account.app.id
    queue_name                            = azurerm_storage_queue.pages_events_thumbs.name
    queue_message_time_to_live_in_seconds = -1
  }

  delivery_identity {
    type = "SystemAssigned"
  }

  depends_on = [azurerm_role_assignment.pages_events_thumbs_event_grid]
}
