# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "google_storage_bucket" "pages" {
  # The names of buckets are global, so the number of the project is a part of it.
  name                        = "${local.prefix}pages-${local.number}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.protect_data

  # The parts of an incomplete upload are not listed, and cost money until they are deleted.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }

  depends_on = [google_project_service.apis]
}

resource "google_storage_notification" "pages" {
  bucket         = google_storage_bucket.pages.name
  topic          = google_pubsub_topic.pages_events.id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE", "OBJECT_DELETE"]

  # Cloud Storage publishes a message when the notification is made.
  depends_on = [google_pubsub_topic_iam_member.storage_pages_events]
}
