resource "aws_s3_bucket_notification" "{{id}}" {
  bucket = aws_s3_bucket.{{id}}.id

  {{kind}} {
    {{arn}} = {{destination}}
    events{{space}} = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
  }
{{depends}}}

