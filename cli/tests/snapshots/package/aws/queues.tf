# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "aws_sqs_queue" "clicks" {
  name                      = "${local.prefix}clicks"
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.clicks_dead.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}clicks"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.clicks.arn } }
    }]
  })
}

resource "aws_sqs_queue" "clicks_dead" {
  name                      = "${local.prefix}clicks--dead"
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "clicks" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.clicks.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "clicks" {
  topic_arn            = aws_sns_topic.clicks.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.clicks.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "clicks_fifo" {
  name                      = "${local.prefix}clicks.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.clicks_dead_fifo.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}clicks.fifo"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.clicks_fifo.arn } }
    }]
  })
}

resource "aws_sqs_queue" "clicks_dead_fifo" {
  name                      = "${local.prefix}clicks--dead.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "clicks_fifo" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.clicks_fifo.arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "clicks_fifo" {
  topic_arn            = aws_sns_topic.clicks_fifo.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.clicks_fifo.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "clicks_index" {
  name                      = "${local.prefix}clicks--index"
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.clicks_index_dead.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}clicks--index"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.clicks.arn } }
    }]
  })
}

resource "aws_sqs_queue" "clicks_index_dead" {
  name                      = "${local.prefix}clicks--index--dead"
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "clicks_index" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.clicks_index.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "clicks_index" {
  topic_arn            = aws_sns_topic.clicks.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.clicks_index.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "clicks_index_fifo" {
  name                      = "${local.prefix}clicks--index.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.clicks_index_dead_fifo.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}clicks--index.fifo"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.clicks_fifo.arn } }
    }]
  })
}

resource "aws_sqs_queue" "clicks_index_dead_fifo" {
  name                      = "${local.prefix}clicks--index--dead.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "clicks_index_fifo" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.clicks_index_fifo.arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "clicks_index_fifo" {
  topic_arn            = aws_sns_topic.clicks_fifo.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.clicks_index_fifo.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "orders" {
  name                      = "${local.prefix}orders"
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.orders_dead.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}orders"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.orders.arn } }
    }]
  })
}

resource "aws_sqs_queue" "orders_dead" {
  name                      = "${local.prefix}orders--dead"
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "orders" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.orders.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "orders" {
  topic_arn            = aws_sns_topic.orders.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.orders.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "orders_fifo" {
  name                      = "${local.prefix}orders.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.orders_dead_fifo.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}orders.fifo"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.orders_fifo.arn } }
    }]
  })
}

resource "aws_sqs_queue" "orders_dead_fifo" {
  name                      = "${local.prefix}orders--dead.fifo"
  fifo_queue                = true
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "orders_fifo" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.orders_fifo.arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "orders_fifo" {
  topic_arn            = aws_sns_topic.orders_fifo.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.orders_fifo.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "pages_events" {
  name                      = "${local.prefix}pages--events"
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.pages_events_dead.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}pages--events"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.pages_events.arn } }
    }]
  })
}

resource "aws_sqs_queue" "pages_events_dead" {
  name                      = "${local.prefix}pages--events--dead"
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "pages_events" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.pages_events.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "pages_events" {
  topic_arn            = aws_sns_topic.pages_events.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.pages_events.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "pages_events_thumbs" {
  name                      = "${local.prefix}pages--events--thumbs"
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.pages_events_thumbs_dead.arn
    maxReceiveCount     = 100
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}pages--events--thumbs"
      Principal = { Service = "sns.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.pages_events.arn } }
    }]
  })
}

resource "aws_sqs_queue" "pages_events_thumbs_dead" {
  name                      = "${local.prefix}pages--events--thumbs--dead"
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "pages_events_thumbs" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.pages_events_thumbs.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}

resource "aws_sns_topic_subscription" "pages_events_thumbs" {
  topic_arn            = aws_sns_topic.pages_events.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.pages_events_thumbs.arn
  raw_message_delivery = true
}

resource "aws_sqs_queue" "links_writes" {
  name                      = "${local.prefix}links--writes"
  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.links_writes_dead.arn
    maxReceiveCount     = 100
  })
}

resource "aws_sqs_queue" "links_writes_dead" {
  name                      = "${local.prefix}links--writes--dead"
  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "links_writes" {
  function_name           = aws_lambda_function.app.arn
  event_source_arn        = aws_sqs_queue.links_writes.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.app]
}
