resource "google_storage_notification" "{{id}}" {
  bucket         = google_storage_bucket.{{id}}.name
  topic          = google_pubsub_topic.{{topic}}.id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE", "OBJECT_DELETE"]

  # Cloud Storage publishes a message when the notification is made.
  depends_on = [google_pubsub_topic_iam_member.storage_{{topic}}]
}

