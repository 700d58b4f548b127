# Triggers call the app with tokens of this account.
resource "google_service_account" "caller" {
  account_id   = "{{prefix}}caller"
  display_name = "{{stage}}: calls triggers"

  depends_on = [google_project_service.apis]
}

