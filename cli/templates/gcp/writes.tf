# The service puts the keys of the written items into the topic {{name}}--writes.
resource "google_eventarc_trigger" "{{id}}" {
  name                    = "${local.prefix}{{name}}"
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
    value     = "${local.prefix}{{name}}/{partition}/${local.prefix}{{name}}/{item}"
    operator  = "match-path-pattern"
  }

  destination {
    cloud_run_service {
      service = google_cloud_run_v2_service.{{service}}.name
      region  = var.region
      path    = "{{path}}"
    }
  }

  depends_on = [google_project_iam_member.caller_eventarc_event_receiver]
}

