resource "aws_sqs_queue" "{{id}}" {
  name                      = "${local.prefix}{{name}}"
{{fifo}}  message_retention_seconds = 1209600

  # AWS asks for six times the timeout of the function.
  visibility_timeout_seconds = 6 * var.timeout{{end}}

  # The app counts its attempts itself. This is for messages that end the function each time.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.{{dead}}.arn
    maxReceiveCount     = 100
  })
{{policy}}}

resource "aws_sqs_queue" "{{dead}}" {
  name                      = "${local.prefix}{{dead_name}}"
{{fifo}}  message_retention_seconds = 1209600
}

resource "aws_lambda_event_source_mapping" "{{id}}" {
  function_name           = aws_lambda_function.{{function}}.arn
  event_source_arn        = aws_sqs_queue.{{id}}.arn
  batch_size              = {{batch}}
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.{{function}}]
}

