# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "aws_cloudwatch_log_group" "http" {
  name              = "/aws/lambda/shop-dev-http"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "http" {
  function_name    = "shop-dev-http"
  role             = aws_iam_role.http.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory_http
  timeout          = var.timeout_http

  environment {
    variables = merge({
      ISOBAR_BUCKET_PAGES       = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
      ISOBAR_BUCKET_REPORTS     = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
      ISOBAR_LAMBDA_INVOKE_MODE = var.function_url ? "RESPONSE_STREAM" : "BUFFERED"
      ISOBAR_STAGE              = "dev"
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.http.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.http]
}

resource "aws_cloudwatch_log_group" "messages" {
  name              = "/aws/lambda/shop-dev-messages"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "messages" {
  function_name    = "shop-dev-messages"
  role             = aws_iam_role.messages.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory_messages
  timeout          = var.timeout_messages

  environment {
    variables = merge({
      ISOBAR_BUCKET_PAGES   = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
      ISOBAR_BUCKET_REPORTS = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
      ISOBAR_STAGE          = "dev"
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.messages.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.messages]
}

resource "aws_cloudwatch_log_group" "objects" {
  name              = "/aws/lambda/shop-dev-objects"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "objects" {
  function_name    = "shop-dev-objects"
  role             = aws_iam_role.objects.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory_objects
  timeout          = var.timeout_objects

  environment {
    variables = merge({
      ISOBAR_BUCKET_PAGES   = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
      ISOBAR_BUCKET_REPORTS = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
      ISOBAR_STAGE          = "dev"
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.objects.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.objects]
}

resource "aws_cloudwatch_log_group" "writes" {
  name              = "/aws/lambda/shop-dev-writes"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "writes" {
  function_name    = "shop-dev-writes"
  role             = aws_iam_role.writes.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory_writes
  timeout          = var.timeout_writes

  environment {
    variables = merge({
      ISOBAR_BUCKET_PAGES   = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
      ISOBAR_BUCKET_REPORTS = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
      ISOBAR_STAGE          = "dev"
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.writes.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.writes]
}

resource "aws_cloudwatch_log_group" "schedules" {
  name              = "/aws/lambda/shop-dev-schedules"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "schedules" {
  function_name    = "shop-dev-schedules"
  role             = aws_iam_role.schedules.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory_schedules
  timeout          = var.timeout_schedules

  environment {
    variables = merge({
      ISOBAR_BUCKET_PAGES   = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
      ISOBAR_BUCKET_REPORTS = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
      ISOBAR_STAGE          = "dev"
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.schedules.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.schedules]
}

# Lambda would run a failed schedule twice more.
resource "aws_lambda_function_event_invoke_config" "schedules" {
  function_name                = aws_lambda_function.schedules.function_name
  maximum_event_age_in_seconds = 21600
  maximum_retry_attempts       = 0
}

resource "aws_cloudwatch_log_group" "invokes" {
  name              = "/aws/lambda/shop-dev-invokes"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "invokes" {
  function_name    = "shop-dev-invokes"
  role             = aws_iam_role.invokes.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory_invokes
  timeout          = var.timeout_invokes

  environment {
    variables = merge({
      ISOBAR_BUCKET_PAGES   = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
      ISOBAR_BUCKET_REPORTS = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
      ISOBAR_STAGE          = "dev"
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.invokes.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.invokes]
}
