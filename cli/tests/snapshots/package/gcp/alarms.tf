# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# A dead letter is a message that no attempt could handle.
resource "google_monitoring_alert_policy" "dead_letters" {
  count = var.alarms ? 1 : 0

  display_name          = "shop-dev: dead letters"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "A subscription of dead letters has messages"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"pubsub_subscription\"",
        "metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
        "resource.labels.subscription_id = one_of(${join(", ", [for name in local.dead_letters : "\"${name}\""])})"
      ])

      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  depends_on = [google_project_service.apis]
}

locals {
  dead_letters = [
    google_pubsub_subscription.clicks_dead.name,
    google_pubsub_subscription.clicks_index_dead.name,
    google_pubsub_subscription.orders_dead.name,
    google_pubsub_subscription.pages_events_dead.name,
    google_pubsub_subscription.pages_events_thumbs_dead.name,
    google_pubsub_subscription.links_writes_dead.name
  ]
}
