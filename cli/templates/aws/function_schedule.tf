# Lambda would run a failed schedule twice more.
resource "aws_lambda_function_event_invoke_config" "{{function}}" {
  function_name                = aws_lambda_function.{{function}}.function_name
  maximum_event_age_in_seconds = 21600
  maximum_retry_attempts       = 0
}

