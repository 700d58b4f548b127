# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "aws_iam_role" "app" {
  name = "shop-dev"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "app" {
  name = "app"
  role = aws_iam_role.app.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # its logs
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.app.arn}:*"
      },
      {
        # table `links`, to read
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"]
        Resource = aws_dynamodb_table.links.arn
      },
      {
        # table `links`, to write
        Effect   = "Allow"
        Action   = ["dynamodb:PutItem", "dynamodb:BatchWriteItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        Resource = aws_dynamodb_table.links.arn
      },
      {
        # table `prices`, to read
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"]
        Resource = aws_dynamodb_table.prices.arn
      },
      {
        # bucket `pages`, to read
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = "${aws_s3_bucket.pages.arn}/*"
      },
      {
        # bucket `pages`, to list
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = aws_s3_bucket.pages.arn
      },
      {
        # bucket `pages`, to write
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = "${aws_s3_bucket.pages.arn}/*"
      },
      {
        # bucket `pages`, to copy objects that have tags
        Effect   = "Allow"
        Action   = ["s3:GetObjectTagging", "s3:PutObjectTagging"]
        Resource = "${aws_s3_bucket.pages.arn}/*"
      },
      {
        # bucket `reports`, to write
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = "${aws_s3_bucket.reports.arn}/*"
      },
      {
        # topic `clicks`, to publish
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = aws_sns_topic.clicks.arn
      },
      {
        # topic `clicks`, to publish
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = aws_sns_topic.clicks_fifo.arn
      },
      {
        # secret `api-token`
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = "arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/${local.prefix}api-token"
      },
      {
        # config `settings`
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = "arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/${local.prefix}settings"
      },
      {
        # topic `clicks`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.clicks.arn
      },
      {
        # topic `clicks`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.clicks_dead.arn
      },
      {
        # topic `clicks`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.clicks_fifo.arn
      },
      {
        # topic `clicks`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.clicks_dead_fifo.arn
      },
      {
        # subscription `index` of topic `clicks`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.clicks_index.arn
      },
      {
        # subscription `index` of topic `clicks`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.clicks_index_dead.arn
      },
      {
        # subscription `index` of topic `clicks`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.clicks_index_fifo.arn
      },
      {
        # subscription `index` of topic `clicks`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.clicks_index_dead_fifo.arn
      },
      {
        # topic `orders`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.orders.arn
      },
      {
        # topic `orders`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.orders_dead.arn
      },
      {
        # topic `orders`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.orders_fifo.arn
      },
      {
        # topic `orders`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.orders_dead_fifo.arn
      },
      {
        # bucket `pages`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.pages_events.arn
      },
      {
        # bucket `pages`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.pages_events_dead.arn
      },
      {
        # events `thumbs` of bucket `pages`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.pages_events_thumbs.arn
      },
      {
        # events `thumbs` of bucket `pages`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.pages_events_thumbs_dead.arn
      },
      {
        # writes of table `links`, to read the stream
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
        Resource = aws_dynamodb_table.links.stream_arn
      },
      {
        # writes of table `links`, to send their keys
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.links_writes.arn
      },
      {
        # writes of table `links`, to receive
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
        Resource = aws_sqs_queue.links_writes.arn
      },
      {
        # writes of table `links`, to send dead letters
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.links_writes_dead.arn
      },
    ]
  })
}
