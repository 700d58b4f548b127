# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "google_cloud_scheduler_job" "sweep" {
  name             = "${local.prefix}sweep"
  region           = var.region
  schedule         = "0 3 * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "600s"

  # No other platform runs a failed schedule again.
  retry_config {
    retry_count = 0
  }

  http_target {
    uri         = "${local.url}/.isobar/schedules/sweep"
    http_method = "POST"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url
    }
  }

  depends_on = [google_cloud_run_v2_service.app]
}
