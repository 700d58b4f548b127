# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# The repository of the images. It is a stack of its own, because an image must be there before a service can run it.
terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

variable "project" {
  description = "The id of the project."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = { app = "shop", stage = "dev" }
}

resource "google_project_service" "registry" {
  service            = "artifactregistry.googleapis.com"
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "shop-dev"
  location      = var.region
  format        = "DOCKER"

  depends_on = [google_project_service.registry]
}

output "repository" {
  description = "The repository of the image of the app."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}/shop"
}
