# S3 sends an event to one destination only: this topic, which has a queue for each handler.
resource "aws_sns_topic" "{{id}}" {
  name = "${local.prefix}{{name}}"
}

resource "aws_sns_topic_policy" "{{id}}" {
  arn = aws_sns_topic.{{id}}.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.{{id}}.arn
      Principal = { Service = "s3.amazonaws.com" }
      Condition = {
        ArnEquals    = { "aws:SourceArn" = aws_s3_bucket.{{bucket}}.arn }
        StringEquals = { "aws:SourceAccount" = local.account }
      }
    }]
  })
}

