# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "google_pubsub_subscription" "clicks" {
  name                    = "${local.prefix}clicks"
  topic                   = google_pubsub_topic.clicks.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true

  # A copy to retry is for one subscription.
  filter = "(attributes.isobar-for = \"${local.prefix}clicks\" OR NOT attributes:isobar-for)"

  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url_messages}/.isobar/topics/clicks"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url_messages
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.clicks_dead.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.messages]
}

resource "google_pubsub_topic" "clicks_dead" {
  name = "${local.prefix}clicks--dead"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "clicks_dead" {
  name                       = "${local.prefix}clicks--dead"
  topic                      = google_pubsub_topic.clicks_dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "clicks_index" {
  name                    = "${local.prefix}clicks--index"
  topic                   = google_pubsub_topic.clicks.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true

  # A copy to retry is for one subscription.
  filter = "(attributes.isobar-for = \"${local.prefix}clicks--index\" OR NOT attributes:isobar-for)"

  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url_messages}/.isobar/topics/clicks/index"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url_messages
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.clicks_index_dead.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.messages]
}

resource "google_pubsub_topic" "clicks_index_dead" {
  name = "${local.prefix}clicks--index--dead"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "clicks_index_dead" {
  name                       = "${local.prefix}clicks--index--dead"
  topic                      = google_pubsub_topic.clicks_index_dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "orders" {
  name                    = "${local.prefix}orders"
  topic                   = google_pubsub_topic.orders.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true

  # A copy to retry is for one subscription.
  filter = "(attributes.isobar-for = \"${local.prefix}orders\" OR NOT attributes:isobar-for)"

  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url_messages}/.isobar/topics/orders"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url_messages
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.orders_dead.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.messages]
}

resource "google_pubsub_topic" "orders_dead" {
  name = "${local.prefix}orders--dead"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "orders_dead" {
  name                       = "${local.prefix}orders--dead"
  topic                      = google_pubsub_topic.orders_dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "pages_events" {
  name                    = "${google_storage_bucket.pages.name}--events"
  topic                   = google_pubsub_topic.pages_events.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true

  # A copy to retry is for one subscription.
  filter = "(attributes.isobar-for = \"${google_storage_bucket.pages.name}--events\" OR NOT attributes:isobar-for)"

  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url_objects}/.isobar/buckets/pages"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url_objects
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.pages_events_dead.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.objects]
}

resource "google_pubsub_topic" "pages_events_dead" {
  name = "${google_storage_bucket.pages.name}--events--dead"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "pages_events_dead" {
  name                       = "${google_storage_bucket.pages.name}--events--dead"
  topic                      = google_pubsub_topic.pages_events_dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "pages_events_thumbs" {
  name                    = "${google_storage_bucket.pages.name}--events--thumbs"
  topic                   = google_pubsub_topic.pages_events.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true

  # A copy to retry is for one subscription.
  filter = "(attributes.isobar-for = \"${google_storage_bucket.pages.name}--events--thumbs\" OR NOT attributes:isobar-for)"

  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url_objects}/.isobar/buckets/pages/thumbs"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url_objects
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.pages_events_thumbs_dead.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.objects]
}

resource "google_pubsub_topic" "pages_events_thumbs_dead" {
  name = "${google_storage_bucket.pages.name}--events--thumbs--dead"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "pages_events_thumbs_dead" {
  name                       = "${google_storage_bucket.pages.name}--events--thumbs--dead"
  topic                      = google_pubsub_topic.pages_events_thumbs_dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "links_writes" {
  name                    = "${local.prefix}links--writes"
  topic                   = google_pubsub_topic.links_writes.id
  ack_deadline_seconds    = 600
  enable_message_ordering = true

  # A copy to retry is for one subscription.
  filter = "(attributes.isobar-for = \"${local.prefix}links--writes\" OR NOT attributes:isobar-for)"

  # It never expires.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url_writes}/.isobar/writes/links"

    oidc_token {
      service_account_email = google_service_account.caller.email
      audience              = local.url_writes
    }
  }

  # For pushes that are not acknowledged, such as those of messages that are not due.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # The app counts its attempts itself. This is for messages that end the service each time.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.links_writes_dead.id
    max_delivery_attempts = 100
  }

  depends_on = [google_cloud_run_v2_service.writes]
}

resource "google_pubsub_topic" "links_writes_dead" {
  name = "${local.prefix}links--writes--dead"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_subscription" "links_writes_dead" {
  name                       = "${local.prefix}links--writes--dead"
  topic                      = google_pubsub_topic.links_writes_dead.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}
