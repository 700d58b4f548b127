# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url_http = "https://shop-dev-http-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "http" {
  account_id   = "shop-dev-http"
  display_name = "shop-dev-http: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "http" {
  name     = "shop-dev-http"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.http.email
    timeout         = "${var.timeout_http}s"

    scaling {
      min_instance_count = var.min_instances_http
      max_instance_count = var.max_instances_http
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu_http, memory = var.memory_http }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://${google_storage_bucket.reports.name}"
          ISOBAR_EVENT_AUDIENCE        = local.url_http
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_STAGE                 = "dev"
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
    google_project_iam_member.http_datastore_user,
    google_project_iam_member.http_datastore_viewer,
    google_storage_bucket_iam_member.http_pages,
    google_service_account_iam_member.http,
    google_storage_bucket_iam_member.http_reports,
    google_pubsub_topic_iam_member.http_clicks,
    google_secret_manager_secret_iam_member.http_api-token,
    google_secret_manager_secret_iam_member.http_settings
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "http" {
  name     = google_cloud_run_v2_service.http.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url_messages = "https://shop-dev-messages-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "messages" {
  account_id   = "shop-dev-messages"
  display_name = "shop-dev-messages: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "messages" {
  name     = "shop-dev-messages"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.messages.email
    timeout         = "${var.timeout_messages}s"

    scaling {
      min_instance_count = var.min_instances_messages
      max_instance_count = var.max_instances_messages
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu_messages, memory = var.memory_messages }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://${google_storage_bucket.reports.name}"
          ISOBAR_EVENT_AUDIENCE        = local.url_messages
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_STAGE                 = "dev"
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
    google_project_iam_member.messages_datastore_user,
    google_project_iam_member.messages_datastore_viewer,
    google_storage_bucket_iam_member.messages_pages,
    google_service_account_iam_member.messages,
    google_storage_bucket_iam_member.messages_reports,
    google_pubsub_topic_iam_member.messages_clicks,
    google_secret_manager_secret_iam_member.messages_api-token,
    google_secret_manager_secret_iam_member.messages_settings,
    google_pubsub_topic_iam_member.messages_clicks_dead,
    google_pubsub_topic_iam_member.messages_clicks_index_dead,
    google_pubsub_topic_iam_member.messages_orders,
    google_pubsub_topic_iam_member.messages_orders_dead
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "messages" {
  name     = google_cloud_run_v2_service.messages.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url_objects = "https://shop-dev-objects-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "objects" {
  account_id   = "shop-dev-objects"
  display_name = "shop-dev-objects: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "objects" {
  name     = "shop-dev-objects"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.objects.email
    timeout         = "${var.timeout_objects}s"

    scaling {
      min_instance_count = var.min_instances_objects
      max_instance_count = var.max_instances_objects
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu_objects, memory = var.memory_objects }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://${google_storage_bucket.reports.name}"
          ISOBAR_EVENT_AUDIENCE        = local.url_objects
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_STAGE                 = "dev"
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
    google_project_iam_member.objects_datastore_user,
    google_project_iam_member.objects_datastore_viewer,
    google_storage_bucket_iam_member.objects_pages,
    google_service_account_iam_member.objects,
    google_storage_bucket_iam_member.objects_reports,
    google_pubsub_topic_iam_member.objects_clicks,
    google_secret_manager_secret_iam_member.objects_api-token,
    google_secret_manager_secret_iam_member.objects_settings,
    google_pubsub_topic_iam_member.objects_pages_events,
    google_pubsub_topic_iam_member.objects_pages_events_dead,
    google_pubsub_topic_iam_member.objects_pages_events_thumbs_dead
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "objects" {
  name     = google_cloud_run_v2_service.objects.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url_writes = "https://shop-dev-writes-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "writes" {
  account_id   = "shop-dev-writes"
  display_name = "shop-dev-writes: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "writes" {
  name     = "shop-dev-writes"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.writes.email
    timeout         = "${var.timeout_writes}s"

    scaling {
      min_instance_count = var.min_instances_writes
      max_instance_count = var.max_instances_writes
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu_writes, memory = var.memory_writes }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://${google_storage_bucket.reports.name}"
          ISOBAR_EVENT_AUDIENCE        = local.url_writes
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_STAGE                 = "dev"
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
    google_project_iam_member.writes_datastore_user,
    google_project_iam_member.writes_datastore_viewer,
    google_storage_bucket_iam_member.writes_pages,
    google_service_account_iam_member.writes,
    google_storage_bucket_iam_member.writes_reports,
    google_pubsub_topic_iam_member.writes_clicks,
    google_secret_manager_secret_iam_member.writes_api-token,
    google_secret_manager_secret_iam_member.writes_settings,
    google_pubsub_topic_iam_member.writes_links_writes,
    google_pubsub_topic_iam_member.writes_links_writes_dead
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "writes" {
  name     = google_cloud_run_v2_service.writes.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url_schedules = "https://shop-dev-schedules-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "schedules" {
  account_id   = "shop-dev-schedules"
  display_name = "shop-dev-schedules: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "schedules" {
  name     = "shop-dev-schedules"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.schedules.email
    timeout         = "${var.timeout_schedules}s"

    scaling {
      min_instance_count = var.min_instances_schedules
      max_instance_count = var.max_instances_schedules
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu_schedules, memory = var.memory_schedules }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://${google_storage_bucket.reports.name}"
          ISOBAR_EVENT_AUDIENCE        = local.url_schedules
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_STAGE                 = "dev"
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
    google_project_iam_member.schedules_datastore_user,
    google_project_iam_member.schedules_datastore_viewer,
    google_storage_bucket_iam_member.schedules_pages,
    google_service_account_iam_member.schedules,
    google_storage_bucket_iam_member.schedules_reports,
    google_pubsub_topic_iam_member.schedules_clicks,
    google_secret_manager_secret_iam_member.schedules_api-token,
    google_secret_manager_secret_iam_member.schedules_settings
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "schedules" {
  name     = google_cloud_run_v2_service.schedules.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url_invokes = "https://shop-dev-invokes-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "invokes" {
  account_id   = "shop-dev-invokes"
  display_name = "shop-dev-invokes: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "invokes" {
  name     = "shop-dev-invokes"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.invokes.email
    timeout         = "${var.timeout_invokes}s"

    scaling {
      min_instance_count = var.min_instances_invokes
      max_instance_count = var.max_instances_invokes
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu_invokes, memory = var.memory_invokes }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
          FIRESTORE_DATABASE           = google_firestore_database.tables.name
          GOOGLE_CLOUD_PROJECT         = var.project
          ISOBAR_BUCKET_PAGES          = "gs://${google_storage_bucket.pages.name}"
          ISOBAR_BUCKET_REPORTS        = "gs://${google_storage_bucket.reports.name}"
          ISOBAR_EVENT_AUDIENCE        = local.url_invokes
          ISOBAR_EVENT_SERVICE_ACCOUNT = google_service_account.caller.email
          ISOBAR_STAGE                 = "dev"
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
    google_project_iam_member.invokes_datastore_user,
    google_project_iam_member.invokes_datastore_viewer,
    google_storage_bucket_iam_member.invokes_pages,
    google_service_account_iam_member.invokes,
    google_storage_bucket_iam_member.invokes_reports,
    google_pubsub_topic_iam_member.invokes_clicks,
    google_secret_manager_secret_iam_member.invokes_api-token,
    google_secret_manager_secret_iam_member.invokes_settings
  ]
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "invokes" {
  name     = google_cloud_run_v2_service.invokes.name
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
    route_name = google_cloud_run_v2_service.http.name
  }
}
