# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# For the app: topic `clicks`, to send dead letters
resource "azurerm_role_assignment" "clicks_dead_service_bus_sender" {
  scope                = azurerm_servicebus_queue.clicks_dead.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: topic `clicks`, to receive
resource "azurerm_role_assignment" "clicks_fifo_service_bus_receiver" {
  scope                = azurerm_servicebus_subscription.clicks_fifo.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: topic `clicks`, to publish
resource "azurerm_role_assignment" "clicks_fifo_service_bus_sender" {
  scope                = azurerm_servicebus_topic.clicks_fifo.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: subscription `index` of topic `clicks`, to send dead letters
resource "azurerm_role_assignment" "clicks_index_dead_service_bus_sender" {
  scope                = azurerm_servicebus_queue.clicks_index_dead.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: subscription `index` of topic `clicks`, to receive
resource "azurerm_role_assignment" "clicks_index_fifo_service_bus_receiver" {
  scope                = azurerm_servicebus_subscription.clicks_index_fifo.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: subscription `index` of topic `clicks`, to receive
resource "azurerm_role_assignment" "clicks_index_service_bus_receiver" {
  scope                = azurerm_servicebus_subscription.clicks_index.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: topic `clicks`, to receive
resource "azurerm_role_assignment" "clicks_service_bus_receiver" {
  scope                = azurerm_servicebus_subscription.clicks.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: topic `clicks`, to publish
resource "azurerm_role_assignment" "clicks_service_bus_sender" {
  scope                = azurerm_servicebus_topic.clicks.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: the storage account of Functions, for locks, timers and keys. It allows more than the app declares: the host can use all blobs and queues of its own storage account, and Microsoft documents no narrower role: keep it apart from the account with your buckets
resource "azurerm_role_assignment" "host_blob_owner" {
  scope                = azurerm_storage_account.host.id
  role_definition_name = "Storage Blob Data Owner"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: the storage account of Functions, for locks, timers and keys. It allows more than the app declares: the host can use all blobs and queues of its own storage account, and Microsoft documents no narrower role: keep it apart from the account with your buckets
resource "azurerm_role_assignment" "host_queue_contributor" {
  scope                = azurerm_storage_account.host.id
  role_definition_name = "Storage Queue Data Contributor"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app and the Functions host: logs
resource "azurerm_role_assignment" "insights_metrics_publisher" {
  scope                = azurerm_application_insights.app.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: writes of table `links`, to send dead letters
resource "azurerm_role_assignment" "links_writes_dead_queue_message_sender" {
  scope                = azurerm_storage_queue.links_writes_dead.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: writes of table `links`, to receive
resource "azurerm_role_assignment" "links_writes_queue_message_processor" {
  scope                = azurerm_storage_queue.links_writes.id
  role_definition_name = "Storage Queue Data Message Processor"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: writes of table `links`, to send to its queue
resource "azurerm_role_assignment" "links_writes_queue_message_sender" {
  scope                = azurerm_storage_queue.links_writes.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: writes of table `links`, to receive
resource "azurerm_role_assignment" "links_writes_queue_reader" {
  scope                = azurerm_storage_queue.links_writes.id
  role_definition_name = "Storage Queue Data Reader"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: topic `orders`, to send dead letters
resource "azurerm_role_assignment" "orders_dead_service_bus_sender" {
  scope                = azurerm_servicebus_queue.orders_dead.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: topic `orders`, to receive
resource "azurerm_role_assignment" "orders_fifo_service_bus_receiver" {
  scope                = azurerm_servicebus_subscription.orders_fifo.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: topic `orders`, to receive
resource "azurerm_role_assignment" "orders_service_bus_receiver" {
  scope                = azurerm_servicebus_subscription.orders.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: topic `orders`, to send copies to retry. It allows more than the app declares: copies to retry are sent through the topic, so an app that only handles it can also publish to it
resource "azurerm_role_assignment" "orders_service_bus_sender" {
  scope                = azurerm_servicebus_topic.orders.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: bucket `pages`, to read and write
resource "azurerm_role_assignment" "pages_blob_contributor" {
  scope                = azurerm_storage_container.pages.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: bucket `pages`, to send dead letters
resource "azurerm_role_assignment" "pages_events_dead_queue_message_sender" {
  scope                = azurerm_storage_queue.pages_events_dead.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: bucket `pages`, to receive
resource "azurerm_role_assignment" "pages_events_queue_message_processor" {
  scope                = azurerm_storage_queue.pages_events.id
  role_definition_name = "Storage Queue Data Message Processor"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: bucket `pages`, to send to its queue
resource "azurerm_role_assignment" "pages_events_queue_message_sender" {
  scope                = azurerm_storage_queue.pages_events.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: bucket `pages`, to receive
resource "azurerm_role_assignment" "pages_events_queue_reader" {
  scope                = azurerm_storage_queue.pages_events.id
  role_definition_name = "Storage Queue Data Reader"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: events `thumbs` of bucket `pages`, to send dead letters
resource "azurerm_role_assignment" "pages_events_thumbs_dead_queue_message_sender" {
  scope                = azurerm_storage_queue.pages_events_thumbs_dead.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: events `thumbs` of bucket `pages`, to receive
resource "azurerm_role_assignment" "pages_events_thumbs_queue_message_processor" {
  scope                = azurerm_storage_queue.pages_events_thumbs.id
  role_definition_name = "Storage Queue Data Message Processor"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: events `thumbs` of bucket `pages`, to send to its queue
resource "azurerm_role_assignment" "pages_events_thumbs_queue_message_sender" {
  scope                = azurerm_storage_queue.pages_events_thumbs.id
  role_definition_name = "Storage Queue Data Message Sender"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: events `thumbs` of bucket `pages`, to receive
resource "azurerm_role_assignment" "pages_events_thumbs_queue_reader" {
  scope                = azurerm_storage_queue.pages_events_thumbs.id
  role_definition_name = "Storage Queue Data Reader"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: bucket `reports`, only to write. It allows more than the app declares: Azure has no built-in role that only writes, so the app can also read it
resource "azurerm_role_assignment" "reports_blob_contributor" {
  scope                = azurerm_storage_container.reports.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: bucket `pages`, to sign URLs. It allows more than the app declares: a user delegation key is valid for the whole storage account, and a bucket may sign URLs at any time; a URL still allows no more than the app's own roles; For the app: bucket `reports`, to sign URLs. It allows more than the app declares: a user delegation key is valid for the whole storage account, and a bucket may sign URLs at any time; a URL still allows no more than the app's own roles
resource "azurerm_role_assignment" "storage_blob_delegator" {
  scope                = azurerm_storage_account.app.id
  role_definition_name = "Storage Blob Delegator"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the app: secret `api-token`; For the app: config `settings`
resource "azurerm_role_assignment" "vault_key_vault_secrets_user" {
  scope                = azurerm_key_vault.app.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# For the Functions host: writes of table `links`, to keep its leases
resource "azurerm_cosmosdb_sql_role_assignment" "isobar_leases_contributor" {
  resource_group_name = azurerm_resource_group.app.name
  account_name        = azurerm_cosmosdb_account.app.name
  role_definition_id  = "${azurerm_cosmosdb_account.app.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000002"
  principal_id        = azurerm_user_assigned_identity.app.principal_id
  scope               = "${azurerm_cosmosdb_account.app.id}/dbs/${azurerm_cosmosdb_sql_database.app.name}/colls/${azurerm_cosmosdb_sql_container.isobar_leases.name}"
}

# For the app: table `links`, to read and write; For the Functions host: writes of table `links`, to read the feed. It allows more than the app declares: Microsoft documents no narrower role for the trigger, so the host can also write the table
resource "azurerm_cosmosdb_sql_role_assignment" "links_contributor" {
  resource_group_name = azurerm_resource_group.app.name
  account_name        = azurerm_cosmosdb_account.app.name
  role_definition_id  = "${azurerm_cosmosdb_account.app.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000002"
  principal_id        = azurerm_user_assigned_identity.app.principal_id
  scope               = "${azurerm_cosmosdb_account.app.id}/dbs/${azurerm_cosmosdb_sql_database.app.name}/colls/${azurerm_cosmosdb_sql_container.links.name}"
}

# For the app: table `prices`, to read
resource "azurerm_cosmosdb_sql_role_assignment" "prices_reader" {
  resource_group_name = azurerm_resource_group.app.name
  account_name        = azurerm_cosmosdb_account.app.name
  role_definition_id  = "${azurerm_cosmosdb_account.app.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000001"
  principal_id        = azurerm_user_assigned_identity.app.principal_id
  scope               = "${azurerm_cosmosdb_account.app.id}/dbs/${azurerm_cosmosdb_sql_database.app.name}/colls/${azurerm_cosmosdb_sql_container.prices.name}"
}
