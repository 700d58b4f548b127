# A dead letter is a message that no attempt could handle.
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = var.alarms ? toset([
{{queues}}
  ]) : []

  alarm_name          = "${each.value}: dead letters"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
}
