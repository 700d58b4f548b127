
output "url" {
  description = "The address of the app."
  value       = trimsuffix(var.function_url ? aws_lambda_function_url.http[0].function_url : aws_apigatewayv2_api.http[0].api_endpoint, "/")
}

output "domain_target" {
  description = "The name to which the custom domain must be an alias."
  value       = try(aws_apigatewayv2_domain_name.http[0].domain_name_configuration[0].target_domain_name, null)
}
