# Front Door serves a custom domain: the provider cannot bind a certificate to an app in Flex Consumption,
# github.com/hashicorp/terraform-provider-azurerm/issues/31884.
resource "azurerm_cdn_frontdoor_profile" "http" {
  count = var.domain == null ? 0 : 1

  name                     = local.unique
  resource_group_name      = azurerm_resource_group.app.name
  sku_name                 = "Standard_AzureFrontDoor"
  response_timeout_seconds = 240
  tags                     = local.tags
}

resource "azurerm_cdn_frontdoor_endpoint" "http" {
  count = var.domain == null ? 0 : 1

  name                     = local.unique
  cdn_frontdoor_profile_id = azurerm_cdn_frontdoor_profile.http[0].id
  tags                     = local.tags
}

resource "azurerm_cdn_frontdoor_custom_domain" "http" {
  count = var.domain == null ? 0 : 1

  name                     = replace(var.domain, ".", "-")
  cdn_frontdoor_profile_id = azurerm_cdn_frontdoor_profile.http[0].id
  host_name                = var.domain

  tls {
    certificate_type = "ManagedCertificate"
  }
}

resource "azurerm_cdn_frontdoor_origin_group" "http" {
  count = var.domain == null ? 0 : 1

  name                     = "app"
  cdn_frontdoor_profile_id = azurerm_cdn_frontdoor_profile.http[0].id

  load_balancing {}
}

resource "azurerm_cdn_frontdoor_origin" "http" {
  count = var.domain == null ? 0 : 1

  name                           = "app"
  cdn_frontdoor_origin_group_id  = azurerm_cdn_frontdoor_origin_group.http[0].id
  host_name                      = azurerm_function_app_flex_consumption.app.default_hostname
  origin_host_header             = azurerm_function_app_flex_consumption.app.default_hostname
  certificate_name_check_enabled = true
}

resource "azurerm_cdn_frontdoor_route" "http" {
  count = var.domain == null ? 0 : 1

  name                            = "app"
  cdn_frontdoor_endpoint_id       = azurerm_cdn_frontdoor_endpoint.http[0].id
  cdn_frontdoor_origin_group_id   = azurerm_cdn_frontdoor_origin_group.http[0].id
  cdn_frontdoor_origin_ids        = [azurerm_cdn_frontdoor_origin.http[0].id]
  cdn_frontdoor_custom_domain_ids = [azurerm_cdn_frontdoor_custom_domain.http[0].id]
  patterns_to_match               = ["/*"]
  supported_protocols             = ["Http", "Https"]
  forwarding_protocol             = "HttpsOnly"
  https_redirect_enabled          = true
}
