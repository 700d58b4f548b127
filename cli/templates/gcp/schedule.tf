resource "google_cloud_scheduler_job" "{{id}}" {
  name             = "${local.prefix}{{name}}"
  region           = var.region
  schedule         = "{{cron}}"
  time_zone        = "Etc/UTC"
  attempt_deadline = "600s"

  # No other platform runs a failed schedule again.
  retry_config {
    retry_count = 0
  }

  http_target {
    uri         = "${local.url{{end}}}{{path}}"
    http_method = "POST"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url{{end}}
    }
  }

  depends_on = [google_cloud_run_v2_service.{{service}}]
}

