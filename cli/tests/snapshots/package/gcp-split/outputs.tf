# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

output "project" {
  description = "The project."
  value       = var.project
}

output "region" {
  description = "The region."
  value       = var.region
}

output "image" {
  description = "The image that the services run."
  value       = local.image
}

output "services" {
  description = "The services of Cloud Run, by the kind of their triggers."

  value = {
    http      = google_cloud_run_v2_service.http.name
    messages  = google_cloud_run_v2_service.messages.name
    objects   = google_cloud_run_v2_service.objects.name
    writes    = google_cloud_run_v2_service.writes.name
    schedules = google_cloud_run_v2_service.schedules.name
    invokes   = google_cloud_run_v2_service.invokes.name
  }
}

output "urls" {
  description = "The addresses of the services, which are the audiences of the tokens in calls of triggers."

  value = {
    http      = local.url_http
    messages  = local.url_messages
    objects   = local.url_objects
    writes    = local.url_writes
    schedules = local.url_schedules
    invokes   = local.url_invokes
  }
}

output "data" {
  description = "The variables with which the command of isobar, or a program of yours, finds the data of the stage."

  value = {
    FIRESTORE_DATABASE    = google_firestore_database.tables.name
    GOOGLE_CLOUD_PROJECT  = var.project
    ISOBAR_BUCKET_PAGES   = "gs://${google_storage_bucket.pages.name}"
    ISOBAR_BUCKET_REPORTS = "gs://${google_storage_bucket.reports.name}"
    ISOBAR_STAGE          = "dev"
  }
}

output "calling_account" {
  description = "The account whose tokens call triggers."
  value       = google_service_account.caller.email
}

output "url" {
  description = "The address of the app."
  value       = local.url_http

  # It is known before the service answers there.
  depends_on = [google_cloud_run_v2_service.http]
}

output "domain_records" {
  description = "The DNS records of the custom domain."
  value       = try(google_cloud_run_domain_mapping.http[0].status[0].resource_records, null)
}
