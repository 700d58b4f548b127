resource "google_secret_manager_secret" "{{id}}" {
  secret_id = "${local.prefix}{{name}}"

  replication {
    auto {}
  }

  depends_on = [google_project_service.apis]
}

