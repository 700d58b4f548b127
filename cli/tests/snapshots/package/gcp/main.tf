# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = merge({ app = "shop", stage = "dev" }, var.labels)
}

data "google_project" "current" {}

locals {
  # The app finds its resources by this prefix.
  prefix = "shop-dev-"
  number = data.google_project.current.number

  # The image in the folder image/, where registry/ has a place for it.
  image = coalesce(var.image, "${var.region}-docker.pkg.dev/${var.project}/shop-dev/shop@sha256:DIGEST")
}

# They stay enabled when the stage is deleted: others in the project may use them.
resource "google_project_service" "apis" {
  for_each = toset([
    "cloudscheduler.googleapis.com",
    "eventarc.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])

  service            = each.value
  disable_on_destroy = false
}
