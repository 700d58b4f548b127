# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# What the scheduler may do: call the function, on behalf of this account only.
resource "aws_iam_role" "scheduler" {
  name = "${local.prefix}scheduler"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "schedules"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = aws_lambda_function.app.arn
    }]
  })
}

resource "aws_scheduler_schedule" "sweep" {
  name                         = "${local.prefix}sweep"
  schedule_expression          = "cron(0 3 * * ? *)"
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.app.arn
    role_arn = aws_iam_role.scheduler.arn

    # As text: jsonencode would write < and > in another form, which the scheduler does not replace.
    input = "{\"isobar\":\"schedule\",\"schedule\":\"sweep\",\"due\":\"<aws.scheduler.scheduled-time>\"}"

    # No other platform runs a failed schedule again.
    retry_policy {
      maximum_retry_attempts = 0
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}
