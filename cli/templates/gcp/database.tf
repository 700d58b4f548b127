resource "google_firestore_database" "tables" {
  name                              = "${local.prefix}tables"
  location_id                       = coalesce(var.database_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  delete_protection_state           = var.protect_data ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"

  # By default Terraform would forget the database and not delete it.
  deletion_policy = "DELETE"

  depends_on = [google_project_service.apis]
}

