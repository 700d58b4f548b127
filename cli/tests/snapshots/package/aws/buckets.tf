# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "aws_s3_bucket" "pages" {
  # The names of buckets are global, so the account is a part of it.
  bucket        = "${local.prefix}pages-${local.account}"
  force_destroy = !var.protect_data
}

resource "aws_s3_bucket_public_access_block" "pages" {
  bucket                  = aws_s3_bucket.pages.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "pages" {
  bucket = aws_s3_bucket.pages.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "pages" {
  bucket = aws_s3_bucket.pages.id

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

resource "aws_s3_bucket_notification" "pages" {
  bucket = aws_s3_bucket.pages.id

  topic {
    topic_arn = aws_sns_topic.pages_events.arn
    events    = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
  }

  # S3 sends a test message when the notification is made.
  depends_on = [aws_sns_topic_policy.pages_events]
}

# S3 sends an event to one destination only: this topic, which has a queue for each handler.
resource "aws_sns_topic" "pages_events" {
  name = "${local.prefix}pages--events"
}

resource "aws_sns_topic_policy" "pages_events" {
  arn = aws_sns_topic.pages_events.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.pages_events.arn
      Principal = { Service = "s3.amazonaws.com" }
      Condition = {
        ArnEquals    = { "aws:SourceArn" = aws_s3_bucket.pages.arn }
        StringEquals = { "aws:SourceAccount" = local.account }
      }
    }]
  })
}

resource "aws_s3_bucket" "reports" {
  # The names of buckets are global, so the account is a part of it.
  bucket        = "${local.prefix}reports-${local.account}"
  force_destroy = !var.protect_data
}

resource "aws_s3_bucket_public_access_block" "reports" {
  bucket                  = aws_s3_bucket.reports.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  bucket = aws_s3_bucket.reports.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "reports" {
  bucket = aws_s3_bucket.reports.id

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
