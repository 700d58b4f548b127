# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

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

# No query reads these fields, so their indexes would only make writes more expensive.
resource "google_firestore_field" "links" {
  for_each = toset(["p", "v", "n", "w"])

  database   = google_firestore_database.tables.name
  collection = "${local.prefix}links"
  field      = each.value

  index_config {}
}

resource "google_firestore_field" "links_expire_at" {
  database   = google_firestore_database.tables.name
  collection = "${local.prefix}links"
  field      = "expireAt"

  ttl_config {}

  # Rising times at one end of an index would limit the rate of writes.
  index_config {}
}

locals {
  # Eventarc has the events of a database in several regions in one of them.
  events_location = lookup(
    { eur3 = "europe-west4", nam5 = "us-central1" },
    google_firestore_database.tables.location_id,
    google_firestore_database.tables.location_id
  )
}

# The service puts the keys of the written items into the topic links--writes.
resource "google_eventarc_trigger" "links" {
  name                    = "${local.prefix}links"
  location                = local.events_location
  service_account         = google_service_account.caller.email
  event_data_content_type = "application/protobuf"

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.firestore.document.v1.written"
  }

  matching_criteria {
    attribute = "database"
    value     = google_firestore_database.tables.name
  }

  matching_criteria {
    attribute = "document"
    value     = "${local.prefix}links/{partition}/${local.prefix}links/{item}"
    operator  = "match-path-pattern"
  }

  destination {
    cloud_run_service {
      service = google_cloud_run_v2_service.app.name
      region  = var.region
      path    = "/.isobar/writes/links"
    }
  }

  depends_on = [google_project_iam_member.caller_eventarc_event_receiver]
}
