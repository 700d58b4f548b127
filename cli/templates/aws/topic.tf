resource "aws_sns_topic" "{{id}}" {
  name = "${local.prefix}{{name}}"
}

# For messages with an ordering key.
resource "aws_sns_topic" "{{id}}_fifo" {
  name       = "${local.prefix}{{name}}.fifo"
  fifo_topic = true
}

