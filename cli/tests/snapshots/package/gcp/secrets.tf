# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "google_secret_manager_secret" "api-token" {
  secret_id = "${local.prefix}api-token"

  replication {
    auto {}
  }

  depends_on = [google_project_service.apis]
}

resource "google_secret_manager_secret" "settings" {
  secret_id = "${local.prefix}settings"

  replication {
    auto {}
  }

  depends_on = [google_project_service.apis]
}
