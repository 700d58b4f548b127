resource "google_pubsub_topic" "{{id}}" {
  name = "{{topic}}"

  depends_on = [google_project_service.apis]
}

