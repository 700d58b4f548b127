
output "calling_account" {
  description = "The account whose tokens call triggers."
  value       = google_service_account.caller.email
}
