# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "azurerm_servicebus_namespace" "app" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  sku                 = "Standard"
  local_auth_enabled  = false
  minimum_tls_version = "1.2"
  tags                = local.tags
}

resource "azurerm_servicebus_topic" "clicks" {
  name         = "${local.prefix}clicks"
  namespace_id = azurerm_servicebus_namespace.app.id
}

# For messages with an ordering key.
resource "azurerm_servicebus_topic" "clicks_fifo" {
  name         = "${local.prefix}clicks--fifo"
  namespace_id = azurerm_servicebus_namespace.app.id
}

resource "azurerm_servicebus_topic" "orders" {
  name         = "${local.prefix}orders"
  namespace_id = azurerm_servicebus_namespace.app.id
}

# For messages with an ordering key.
resource "azurerm_servicebus_topic" "orders_fifo" {
  name         = "${local.prefix}orders--fifo"
  namespace_id = azurerm_servicebus_namespace.app.id
}

resource "azurerm_servicebus_subscription" "clicks" {
  name     = "${local.prefix}clicks"
  topic_id = azurerm_servicebus_topic.clicks.id

  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "clicks" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.clicks.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}clicks'"
}

resource "azurerm_servicebus_subscription" "clicks_fifo" {
  name     = "${local.prefix}clicks"
  topic_id = azurerm_servicebus_topic.clicks_fifo.id

  requires_session = true

  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "clicks_fifo" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.clicks_fifo.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}clicks'"
}

resource "azurerm_servicebus_queue" "clicks_dead" {
  name         = "${local.prefix}clicks--dead"
  namespace_id = azurerm_servicebus_namespace.app.id

  # A tool that lists the dead letters counts as a delivery each time.
  max_delivery_count = 2000
}

resource "azurerm_servicebus_subscription" "clicks_index" {
  name     = "${local.prefix}clicks--index"
  topic_id = azurerm_servicebus_topic.clicks.id

  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "clicks_index" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.clicks_index.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}clicks--index'"
}

resource "azurerm_servicebus_subscription" "clicks_index_fifo" {
  name     = "${local.prefix}clicks--index"
  topic_id = azurerm_servicebus_topic.clicks_fifo.id

  requires_session = true

  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "clicks_index_fifo" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.clicks_index_fifo.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}clicks--index'"
}

resource "azurerm_servicebus_queue" "clicks_index_dead" {
  name         = "${local.prefix}clicks--index--dead"
  namespace_id = azurerm_servicebus_namespace.app.id

  # A tool that lists the dead letters counts as a delivery each time.
  max_delivery_count = 2000
}

resource "azurerm_servicebus_subscription" "orders" {
  name     = "${local.prefix}orders"
  topic_id = azurerm_servicebus_topic.orders.id

  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "orders" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.orders.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}orders'"
}

resource "azurerm_servicebus_subscription" "orders_fifo" {
  name     = "${local.prefix}orders"
  topic_id = azurerm_servicebus_topic.orders_fifo.id

  requires_session = true

  # The app counts its attempts itself. This is for messages that end the function each time.
  max_delivery_count = 100
}

# Service Bus removes the rule $Default, which accepts all messages, when another one is made.
resource "azurerm_servicebus_subscription_rule" "orders_fifo" {
  name            = "isobar"
  subscription_id = azurerm_servicebus_subscription.orders_fifo.id
  filter_type     = "SqlFilter"
  sql_filter      = "\"isobar-for\" IS NULL OR \"isobar-for\" = '${local.prefix}orders'"
}

resource "azurerm_servicebus_queue" "orders_dead" {
  name         = "${local.prefix}orders--dead"
  namespace_id = azurerm_servicebus_namespace.app.id

  # A tool that lists the dead letters counts as a delivery each time.
  max_delivery_count = 2000
}
