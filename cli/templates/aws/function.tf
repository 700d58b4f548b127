resource "aws_cloudwatch_log_group" "{{function}}" {
  name              = "/aws/lambda/{{lambda}}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "{{function}}" {
  function_name    = "{{lambda}}"
  role             = aws_iam_role.{{function}}.arn
  runtime          = "provided.al2023"
  architectures    = ["{{architecture}}"]
  handler          = "bootstrap"
  filename         = "${path.module}/{{zip}}"
  source_code_hash = filebase64sha256("${path.module}/{{zip}}")
  memory_size      = var.memory{{end}}
  timeout          = var.timeout{{end}}

  environment {
    variables = merge({
{{environment}}
    }, var.environment)
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.{{function}}.name
  }

  # A function that starts without its rights would fail its first events.
  depends_on = [aws_iam_role_policy.{{function}}]
}

