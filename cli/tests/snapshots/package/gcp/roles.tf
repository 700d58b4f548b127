# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

data "google_storage_project_service_account" "agent" {}

locals {
  # Pub/Sub's own account, which moves messages to the dead letters.
  pubsub_agent = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# table `links`, to read and write. It allows more than the app declares: Firestore has no narrower scope than a database, so the app can use all of its tables: give apps that must not read each other's tables databases of their own
resource "google_project_iam_member" "app_datastore_user" {
  project = var.project
  role    = "roles/datastore.user"
  member  = google_service_account.app.member

  condition {
    title      = "shop-dev-tables"
    expression = "resource.name == \"${google_firestore_database.tables.id}\""
  }
}

# table `prices`, to read. It allows more than the app declares: Firestore has no narrower scope than a database, so the app can read all of its tables: give apps that must not read each other's tables databases of their own
resource "google_project_iam_member" "app_datastore_viewer" {
  project = var.project
  role    = "roles/datastore.viewer"
  member  = google_service_account.app.member

  condition {
    title      = "shop-dev-tables"
    expression = "resource.name == \"${google_firestore_database.tables.id}\""
  }
}

# bucket `pages`, to read and write
resource "google_storage_bucket_iam_member" "app_pages" {
  bucket = google_storage_bucket.pages.name
  role   = "roles/storage.objectUser"
  member = google_service_account.app.member
}

# bucket `pages`, to sign URLs. It allows more than the app declares: no predefined role only signs, so the app can also make tokens of its own account, and a bucket may sign URLs at any time; a URL still allows no more than the app's own roles
# bucket `reports`, to sign URLs. It allows more than the app declares: no predefined role only signs, so the app can also make tokens of its own account, and a bucket may sign URLs at any time; a URL still allows no more than the app's own roles
resource "google_service_account_iam_member" "app" {
  service_account_id = google_service_account.app.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.app.member
}

# bucket `reports`, only to write. It allows more than the app declares: the predefined role that only creates objects cannot overwrite or delete one, so the app has one that can also read them
resource "google_storage_bucket_iam_member" "app_reports" {
  bucket = google_storage_bucket.reports.name
  role   = "roles/storage.objectUser"
  member = google_service_account.app.member
}

# topic `clicks`, to publish
resource "google_pubsub_topic_iam_member" "app_clicks" {
  topic  = google_pubsub_topic.clicks.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# secret `api-token`
resource "google_secret_manager_secret_iam_member" "app_api-token" {
  secret_id = google_secret_manager_secret.api-token.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.app.member
}

# config `settings`
resource "google_secret_manager_secret_iam_member" "app_settings" {
  secret_id = google_secret_manager_secret.settings.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.app.member
}

# topic `clicks`, to publish dead letters
resource "google_pubsub_topic_iam_member" "app_clicks_dead" {
  topic  = google_pubsub_topic.clicks_dead.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# topic `clicks`, to publish dead letters
resource "google_pubsub_topic_iam_member" "pubsub_clicks_dead" {
  topic  = google_pubsub_topic.clicks_dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# topic `clicks`, to acknowledge what it moves to the dead letters
resource "google_pubsub_subscription_iam_member" "pubsub_clicks" {
  subscription = google_pubsub_subscription.clicks.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# subscription `index` of topic `clicks`, to publish dead letters
resource "google_pubsub_topic_iam_member" "app_clicks_index_dead" {
  topic  = google_pubsub_topic.clicks_index_dead.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# subscription `index` of topic `clicks`, to publish dead letters
resource "google_pubsub_topic_iam_member" "pubsub_clicks_index_dead" {
  topic  = google_pubsub_topic.clicks_index_dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# subscription `index` of topic `clicks`, to acknowledge what it moves to the dead letters
resource "google_pubsub_subscription_iam_member" "pubsub_clicks_index" {
  subscription = google_pubsub_subscription.clicks_index.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# topic `orders`, to publish copies to retry. It allows more than the app declares: copies to retry are published to the topic, so an app that only handles it can also publish to it
resource "google_pubsub_topic_iam_member" "app_orders" {
  topic  = google_pubsub_topic.orders.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# topic `orders`, to publish dead letters
resource "google_pubsub_topic_iam_member" "app_orders_dead" {
  topic  = google_pubsub_topic.orders_dead.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# topic `orders`, to publish dead letters
resource "google_pubsub_topic_iam_member" "pubsub_orders_dead" {
  topic  = google_pubsub_topic.orders_dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# topic `orders`, to acknowledge what it moves to the dead letters
resource "google_pubsub_subscription_iam_member" "pubsub_orders" {
  subscription = google_pubsub_subscription.orders.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# bucket `pages`, to publish to its topic
# events `thumbs` of bucket `pages`, to publish to its topic
resource "google_pubsub_topic_iam_member" "app_pages_events" {
  topic  = google_pubsub_topic.pages_events.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# bucket `pages`, to publish dead letters
resource "google_pubsub_topic_iam_member" "app_pages_events_dead" {
  topic  = google_pubsub_topic.pages_events_dead.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# bucket `pages`, to publish the events
# events `thumbs` of bucket `pages`, to publish the events
resource "google_pubsub_topic_iam_member" "storage_pages_events" {
  topic  = google_pubsub_topic.pages_events.id
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.agent.member
}

# bucket `pages`, to publish dead letters
resource "google_pubsub_topic_iam_member" "pubsub_pages_events_dead" {
  topic  = google_pubsub_topic.pages_events_dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# bucket `pages`, to acknowledge what it moves to the dead letters
resource "google_pubsub_subscription_iam_member" "pubsub_pages_events" {
  subscription = google_pubsub_subscription.pages_events.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# events `thumbs` of bucket `pages`, to publish dead letters
resource "google_pubsub_topic_iam_member" "app_pages_events_thumbs_dead" {
  topic  = google_pubsub_topic.pages_events_thumbs_dead.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# events `thumbs` of bucket `pages`, to publish dead letters
resource "google_pubsub_topic_iam_member" "pubsub_pages_events_thumbs_dead" {
  topic  = google_pubsub_topic.pages_events_thumbs_dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# events `thumbs` of bucket `pages`, to acknowledge what it moves to the dead letters
resource "google_pubsub_subscription_iam_member" "pubsub_pages_events_thumbs" {
  subscription = google_pubsub_subscription.pages_events_thumbs.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# writes of table `links`, to publish to its topic
resource "google_pubsub_topic_iam_member" "app_links_writes" {
  topic  = google_pubsub_topic.links_writes.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# writes of table `links`, to publish dead letters
resource "google_pubsub_topic_iam_member" "app_links_writes_dead" {
  topic  = google_pubsub_topic.links_writes_dead.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.app.member
}

# writes of table `links`, to publish dead letters
resource "google_pubsub_topic_iam_member" "pubsub_links_writes_dead" {
  topic  = google_pubsub_topic.links_writes_dead.id
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# writes of table `links`, to acknowledge what it moves to the dead letters
resource "google_pubsub_subscription_iam_member" "pubsub_links_writes" {
  subscription = google_pubsub_subscription.links_writes.id
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# writes of table `links`, to receive the events. It allows more than the app declares: Eventarc has no narrower scope than a project, so the account can receive all of its events
resource "google_project_iam_member" "caller_eventarc_event_receiver" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.caller.member
}
