data "google_storage_project_service_account" "agent" {}

