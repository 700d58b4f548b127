resource "aws_sns_topic_subscription" "{{id}}" {
  topic_arn            = aws_sns_topic.{{topic}}.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.{{id}}.arn
  raw_message_delivery = true
}

