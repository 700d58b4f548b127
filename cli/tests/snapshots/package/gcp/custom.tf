# Yours: `isobar package` does not change this file. Add resources here, or a backend that stores the state for several people:
#
# terraform {
#   backend "gcs" {
#     bucket = "my-states"
#     prefix = "app"
#   }
# }
#
# To change a resource of the other files, write the same block with only your lines in the file override.tf.
