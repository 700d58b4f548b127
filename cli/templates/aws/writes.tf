# The function puts the keys of the written items into the queue {{name}}--writes.
resource "aws_lambda_event_source_mapping" "stream_of_{{id}}" {
  function_name           = aws_lambda_function.{{function}}.arn
  event_source_arn        = aws_dynamodb_table.{{id}}.stream_arn
  starting_position       = "TRIM_HORIZON"
  batch_size              = 100
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.{{function}}]
}

