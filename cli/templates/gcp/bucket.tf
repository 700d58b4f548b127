resource "google_storage_bucket" "{{id}}" {
  # The names of buckets are global, so the number of the project is a part of it.
  name                        = {{bucket}}
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.protect_data

  # The parts of an incomplete upload are not listed, and cost money until they are deleted.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }

  depends_on = [google_project_service.apis]
}

