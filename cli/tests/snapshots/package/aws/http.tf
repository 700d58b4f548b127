# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# An HTTP API. It answers within 30 seconds, and does not stream.
resource "aws_apigatewayv2_api" "http" {
  count = var.function_url ? 0 : 1

  name          = "shop-dev"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "http" {
  count = var.function_url ? 0 : 1

  api_id                 = aws_apigatewayv2_api.http[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.app.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "http" {
  count = var.function_url ? 0 : 1

  api_id    = aws_apigatewayv2_api.http[0].id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.http[0].id}"
}

resource "aws_apigatewayv2_stage" "http" {
  count = var.function_url ? 0 : 1

  api_id      = aws_apigatewayv2_api.http[0].id
  name        = "$default"
  auto_deploy = true
}

resource "aws_lambda_permission" "http_api" {
  count = var.function_url ? 0 : 1

  statement_id  = "http-api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.app.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.http[0].execution_arn}/*/*"
}

resource "aws_apigatewayv2_domain_name" "http" {
  count = !var.function_url && var.domain != null ? 1 : 0

  domain_name = var.domain.name

  domain_name_configuration {
    certificate_arn = var.domain.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "http" {
  count = !var.function_url && var.domain != null ? 1 : 0

  api_id      = aws_apigatewayv2_api.http[0].id
  domain_name = aws_apigatewayv2_domain_name.http[0].id
  stage       = aws_apigatewayv2_stage.http[0].id
}

# A Function URL streams, and waits as long as the function.
resource "aws_lambda_function_url" "http" {
  count = var.function_url ? 1 : 0

  function_name      = aws_lambda_function.app.function_name
  authorization_type = "NONE"
  invoke_mode        = "RESPONSE_STREAM"
}

# A public Function URL needs two permissions.
resource "aws_lambda_permission" "url" {
  count = var.function_url ? 1 : 0

  statement_id           = "url"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.app.function_name
  principal              = "*"
  function_url_auth_type = "NONE"
}

# aws_lambda_permission cannot say "by the URL only": without that, every account of AWS could call the function with any event.
resource "aws_cloudcontrolapi_resource" "url_invoke" {
  count = var.function_url ? 1 : 0

  type_name = "AWS::Lambda::Permission"

  desired_state = jsonencode({
    FunctionName          = aws_lambda_function.app.function_name
    Action                = "lambda:InvokeFunction"
    Principal             = "*"
    InvokedViaFunctionUrl = true
  })
}
