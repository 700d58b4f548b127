# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

# A dead letter is a message that no attempt could handle.
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = var.alarms ? toset([
    aws_sqs_queue.clicks_dead.name,
    aws_sqs_queue.clicks_dead_fifo.name,
    aws_sqs_queue.clicks_index_dead.name,
    aws_sqs_queue.clicks_index_dead_fifo.name,
    aws_sqs_queue.orders_dead.name,
    aws_sqs_queue.orders_dead_fifo.name,
    aws_sqs_queue.pages_events_dead.name,
    aws_sqs_queue.pages_events_thumbs_dead.name,
    aws_sqs_queue.links_writes_dead.name,
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
