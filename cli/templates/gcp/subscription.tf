resource "google_pubsub_subscription" "{{id}}" {
  name                    = "{{name}}"
  topic                   = google_pubsub_topic.{{topic}}.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true
{{filter}}
  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url{{end}}}{{path}}"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url{{end}}
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "{{min}}"
    maximum_backoff = "{{max}}"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.{{dead}}.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.{{service}}]
}

resource "google_pubsub_topic" "{{dead}}" {
  name = "{{dead_name}}"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "{{dead}}" {
  name                       = "{{dead_name}}"
  topic                      = google_pubsub_topic.{{dead}}.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

