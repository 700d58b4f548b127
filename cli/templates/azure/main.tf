terraform {
  required_version = ">= 1.5"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}

provider "azurerm" {
  # Without a value, that of ARM_SUBSCRIPTION_ID.
  subscription_id = var.subscription_id

  # The storage accounts accept no keys.
  storage_use_azuread = true

  features {
    application_insights {
      disable_generated_rule = true
    }

    # A deleted vault can be recovered for 90 days, and is recovered by the next apply.
    key_vault {
      purge_soft_delete_on_destroy = false
    }

    # Terraform needs no rights on the data.
    storage {
      data_plane_available = false
    }
  }
}

data "azurerm_client_config" "current" {}

locals {
  # The app finds its resources by this prefix.
  prefix = "{{prefix}}"
  tags   = merge({ app = "{{app}}", stage = "{{stage}}" }, var.tags)

  # Names of accounts are global, so a hash of the subscription is a part of them. Those of storage accounts and vaults have
  # at most 24 characters.
  hash    = substr(sha1("${data.azurerm_client_config.current.subscription_id}/{{base}}"), 0, 8)
  unique  = "{{base}}-${local.hash}"
  account = "{{short}}${local.hash}"
}

resource "azurerm_resource_group" "app" {
  name     = "{{base}}"
  location = var.region
  tags     = local.tags
}

# The identity of the app and of the Functions host. All rights in roles.tf are its rights.
resource "azurerm_user_assigned_identity" "app" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.app.name
  location            = azurerm_resource_group.app.location
  tags                = local.tags
}
