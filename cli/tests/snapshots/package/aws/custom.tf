# Yours: `isobar package` does not change this file. Add resources here, or a backend that stores the state for several people:
#
# terraform {
#   backend "s3" {
#     bucket       = "my-states"
#     key          = "app.tfstate"
#     region       = "us-east-1"
#     use_lockfile = true
#   }
# }
#
# To change a resource of the other files, write the same block with only your lines in the file override.tf.
