locals {
  # Pub/Sub's own account, which moves messages to the dead letters.
  pubsub_agent = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

