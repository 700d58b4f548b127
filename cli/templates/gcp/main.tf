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
  default_labels = merge({ app = "{{app}}", stage = "{{stage}}" }, var.labels)
}

data "google_project" "current" {}

locals {
  # The app finds its resources by this prefix.
  prefix = "{{prefix}}"
  number = data.google_project.current.number

  # The image in the folder image/, where registry/ has a place for it.
  image = coalesce(var.image, "${var.region}-docker.pkg.dev/${var.project}/{{repository}}/{{app}}@{{digest}}")
}

# They stay enabled when the stage is deleted: others in the project may use them.
resource "google_project_service" "apis" {
  for_each = toset([
{{apis}}
  ])

  service            = each.value
  disable_on_destroy = false
}
