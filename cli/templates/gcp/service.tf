locals {
  # Cloud Run also serves a service at a URL that is known before the service exists, if name and number have at most 63
  # characters: https://cloud.google.com/run/docs/triggering/https-request#deterministic. So the service can know its own URL.
  url{{end}} = "https://{{name}}-${local.number}.${var.region}.run.app"
}

resource "google_service_account" "{{service}}" {
  account_id   = "{{account}}"
  display_name = "{{name}}: the app"

  depends_on = [google_project_service.apis]
}

resource "google_cloud_run_v2_service" "{{service}}" {
  name     = "{{name}}"
  location = var.region

  # It holds no data.
  deletion_protection = false

  template {
    service_account = google_service_account.{{service}}.email
    timeout         = "${var.timeout{{end}}}s"

    scaling {
      min_instance_count = var.min_instances{{end}}
      max_instance_count = var.max_instances{{end}}
    }

    containers {
      image = local.image

      resources {
        limits            = { cpu = var.cpu{{end}}, memory = var.memory{{end}} }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge({
{{environment}}
        }, var.environment)

        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

{{depends}}
}

# Everyone may call it. The app checks the tokens of triggers itself: where Cloud Run does, it removes their signature.
resource "google_cloud_run_v2_service_iam_member" "{{service}}" {
  name     = google_cloud_run_v2_service.{{service}}.name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

