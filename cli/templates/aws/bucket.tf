resource "aws_s3_bucket" "{{id}}" {
  # The names of buckets are global, so the account is a part of it.
  bucket        = {{bucket}}
  force_destroy = !var.protect_data
}

resource "aws_s3_bucket_public_access_block" "{{id}}" {
  bucket                  = aws_s3_bucket.{{id}}.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "{{id}}" {
  bucket = aws_s3_bucket.{{id}}.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "{{id}}" {
  bucket = aws_s3_bucket.{{id}}.id

  # The parts of an incomplete upload are not listed, and cost money until they are deleted.
  rule {
    id     = "incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

