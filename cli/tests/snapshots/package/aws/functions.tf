# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "aws_cloudwatch_log_group" "app" {
  name              = "/aws/lambda/shop-dev"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "app" {
  function_name    = "shop-dev"
  role             = aws_iam_role.app.arn
  runtime          = "provided.al2023"
  architectures    = ["x86_64"]
  handler          = "bootstrap"
  filename         = "${path.module}/app.zip"
  source_code_hash = filebase64sha256("${path.module}/app.zip")
  memory_size      = var.memory
  timeout          = var.timeout

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
    log_group  = aws_cloudwatch_log_group.app.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.app]
}

# Lambda would run a failed schedule twice more.
resource "aws_lambda_function_event_invoke_config" "app" {
  function_name                = aws_lambda_function.app.function_name
  maximum_event_age_in_seconds = 21600
  maximum_retry_attempts       = 0
}
