resource "google_cloud_run_domain_mapping" "http" {
  count = var.domain != null ? 1 : 0

  name     = var.domain
  location = var.region

  metadata {
    namespace = var.project
  }

  spec {
    route_name = google_cloud_run_v2_service.{{service}}.name
  }
}
