# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# The storage account of the Functions host: the program, locks, timers and keys. The app's own data is not here.
resource "azurerm_storage_account" "host" {
  name                            = "${local.account}host"
  resource_group_name             = azurerm_resource_group.app.name
  location                        = azurerm_resource_group.app.location
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false
  min_tls_version                 = "TLS1_2"
  tags                            = local.tags
}

resource "azurerm_storage_container" "host_packages" {
  name               = "packages"
  storage_account_id = azurerm_storage_account.host.id
}

resource "azurerm_log_analytics_workspace" "app" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  retention_in_days   = var.log_retention_days
  tags                = local.tags
}

resource "azurerm_application_insights" "app" {
  name                          = local.unique
  resource_group_name           = azurerm_resource_group.app.name
  location                      = azurerm_resource_group.app.location
  workspace_id                  = azurerm_log_analytics_workspace.app.id
  application_type              = "other"
  local_authentication_disabled = true
  tags                          = local.tags
}

resource "azurerm_service_plan" "app" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  os_type             = "Linux"
  sku_name            = "FC1"
  tags                = local.tags
}

resource "azurerm_function_app_flex_consumption" "app" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  service_plan_id     = azurerm_service_plan.app.id
  https_only          = true
  tags                = local.tags

  # A custom handler: the package has a program, and no code for a runtime.
  runtime_name           = "custom"
  runtime_version        = "1.0"
  instance_memory_in_mb  = var.memory
  maximum_instance_count = var.instances

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.host.primary_blob_endpoint}${azurerm_storage_container.host_packages.name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.app.id

  # Programs are published with a token, and never with a password.
  webdeploy_publish_basic_authentication_enabled = false

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.app.id]
  }

  site_config {
    application_insights_connection_string = azurerm_application_insights.app.connection_string
  }

  app_settings = merge({
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "ClientId=${azurerm_user_assigned_identity.app.client_id};Authorization=AAD"
    AZURE_CLIENT_ID                           = azurerm_user_assigned_identity.app.client_id
    AZURE_COSMOS__accountEndpoint             = azurerm_cosmosdb_account.app.endpoint
    AZURE_COSMOS__clientId                    = azurerm_user_assigned_identity.app.client_id
    AZURE_COSMOS__credential                  = "managedidentity"
    AZURE_SERVICEBUS__clientId                = azurerm_user_assigned_identity.app.client_id
    AZURE_SERVICEBUS__credential              = "managedidentity"
    AZURE_SERVICEBUS__fullyQualifiedNamespace = "${azurerm_servicebus_namespace.app.name}.servicebus.windows.net"
    AZURE_STORAGE_ACCOUNT                     = azurerm_storage_account.app.name
    AZURE_STORAGE__clientId                   = azurerm_user_assigned_identity.app.client_id
    AZURE_STORAGE__credential                 = "managedidentity"
    AZURE_STORAGE__queueServiceUri            = azurerm_storage_account.app.primary_queue_endpoint
    AzureWebJobsStorage__accountName          = azurerm_storage_account.host.name
    AzureWebJobsStorage__clientId             = azurerm_user_assigned_identity.app.client_id
    AzureWebJobsStorage__credential           = "managedidentity"
    ISOBAR_SECRETS                            = "keyvault://${azurerm_key_vault.app.name}"
    ISOBAR_STAGE                              = "dev"

    # The provider adds AzureWebJobsStorage with an empty key, with which the host does not start, unless a setting has this name
    # in any case; and it never reads that name back: github.com/hashicorp/terraform-provider-azurerm/issues/29149 and 33211.
    azureWebJobsStorage = ""
  }, var.environment)

  depends_on = [
    azurerm_role_assignment.host_blob_owner,
    azurerm_role_assignment.host_queue_contributor,
  ]
}
