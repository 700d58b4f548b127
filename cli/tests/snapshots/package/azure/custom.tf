# Yours: `isobar package` does not change this file. Add resources here, or a backend that stores the state for several people:
#
# terraform {
#   backend "azurerm" {
#     resource_group_name  = "my-states"
#     storage_account_name = "mystates"
#     container_name       = "states"
#     key                  = "app.tfstate"
#     use_azuread_auth     = true
#   }
# }
#
# To change a resource of the other files, write the same block with only your lines in the file override.tf.
