# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "google_pubsub_topic" "clicks" {
  name = "${local.prefix}clicks"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_topic" "orders" {
  name = "${local.prefix}orders"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_topic" "pages_events" {
  name = "${google_storage_bucket.pages.name}--events"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_topic" "links_writes" {
  name = "${local.prefix}links--writes"

  depends_on = [google_project_service.apis]
}
