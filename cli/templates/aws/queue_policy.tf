
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = "arn:${local.partition}:sqs:${var.region}:${local.account}:${local.prefix}{{name}}"
      Principal = { Service = "{{service}}" }
{{condition}}    }]
  })
