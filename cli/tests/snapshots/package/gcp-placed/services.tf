# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url = "https://shop-dev-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "app" {
  account_id   = "shop-dev-app"
  display_name = "shop-dev: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "app" {
  name     = "shop-dev"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.app.email
    timeout         = "${var.timeout}s"

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://reports-prod"
          ISOBAR_EVENT_AUDIENCE        = local.url
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_SECRETS               = "gsm://vault"
          ISOBAR_STAGE                 = "dev"
          ISOBAR_TABLE_PRICES          = "firestore://prices?project=other&database=shared"
        }, var.environment)

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  # A service that starts without its rights would fail its first requests.
  depends_on = [
    google_project_service.apis,
    google_project_iam_member.app_datastore_user,
    google_project_iam_member.app_datastore_viewer_shared,
    google_storage_bucket_iam_member.app_pages,
    google_service_account_iam_member.app,
    google_storage_bucket_iam_member.app_reports-prod,
    google_pubsub_topic_iam_member.app_clicks,
    google_secret_manager_secret_iam_member.app_api-token,
    google_secret_manager_secret_iam_member.app_settings,
    google_pubsub_topic_iam_member.app_clicks_dead,
    google_pubsub_topic_iam_member.app_clicks_index_dead,
    google_pubsub_topic_iam_member.app_orders,
    google_pubsub_topic_iam_member.app_orders_dead,
    google_pubsub_topic_iam_member.app_pages_events,
    google_pubsub_topic_iam_member.app_pages_events_dead,
    google_pubsub_topic_iam_member.app_pages_events_thumbs_dead,
    google_pubsub_topic_iam_member.app_links_writes,
    google_pubsub_topic_iam_member.app_links_writes_dead
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "app" {
  name     = google_cloud_run_v2_service.app.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

# Triggers call the app with tokens of this account.
resource "google_service_account" "caller" {
  account_id   = "shop-dev-caller"
  display_name = "shop-dev: calls triggers"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_domain_mapping" "http" {
  count = var.domain != null ? 1 : 0

  name     = var.domain
  location = var.region

  metadata {
    namespace = var.project
  }

  spec {
    route_name = google_cloud_run_v2_service.app.name
  }
}
