resource "aws_scheduler_schedule" "{{id}}" {
  name                         = "${local.prefix}{{name}}"
  schedule_expression          = "{{expression}}"
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.{{function}}.arn
    role_arn = aws_iam_role.scheduler.arn

    # As text: jsonencode would write < and > in another form, which the scheduler does not replace.
    input = "{\"isobar\":\"schedule\",\"schedule\":\"{{name}}\",\"due\":\"<aws.scheduler.scheduled-time>\"}"

    # No other platform runs a failed schedule again.
    retry_policy {
      maximum_retry_attempts = 0
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}

