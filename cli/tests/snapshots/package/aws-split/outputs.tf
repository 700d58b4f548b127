# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

output "region" {
  description = "The region."
  value       = var.region
}

output "functions" {
  description = "The functions, by the kind of their triggers."
  value       = { http = aws_lambda_function.http.function_name, messages = aws_lambda_function.messages.function_name, objects = aws_lambda_function.objects.function_name, writes = aws_lambda_function.writes.function_name, schedules = aws_lambda_function.schedules.function_name, invokes = aws_lambda_function.invokes.function_name }
}

output "log_groups" {
  description = "The log groups of the functions."
  value       = [aws_cloudwatch_log_group.http.name, aws_cloudwatch_log_group.messages.name, aws_cloudwatch_log_group.objects.name, aws_cloudwatch_log_group.writes.name, aws_cloudwatch_log_group.schedules.name, aws_cloudwatch_log_group.invokes.name]
}

output "data" {
  description = "The variables with which the command of isobar, or a program of yours, finds the data of the stage."

  value = {
    AWS_REGION            = var.region
    ISOBAR_BUCKET_PAGES   = "s3://${aws_s3_bucket.pages.bucket}?events=${local.prefix}pages--events"
    ISOBAR_BUCKET_REPORTS = "s3://${aws_s3_bucket.reports.bucket}?events=${local.prefix}reports--events"
    ISOBAR_STAGE          = "dev"
  }
}

output "url" {
  description = "The address of the app."
  value       = trimsuffix(var.function_url ? aws_lambda_function_url.http[0].function_url : aws_apigatewayv2_api.http[0].api_endpoint, "/")
}

output "domain_target" {
  description = "The name to which the custom domain must be an alias."
  value       = try(aws_apigatewayv2_domain_name.http[0].domain_name_configuration[0].target_domain_name, null)
}
