resource "aws_iam_role" "{{function}}" {
  name = "{{lambda}}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "{{function}}" {
  name = "app"
  role = aws_iam_role.{{function}}.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
{{statements}}
    ]
  })
}

