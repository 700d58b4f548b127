# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

resource "aws_sns_topic" "clicks" {
  name = "${local.prefix}clicks"
}

# For messages with an ordering key.
resource "aws_sns_topic" "clicks_fifo" {
  name       = "${local.prefix}clicks.fifo"
  fifo_topic = true
}

resource "aws_sns_topic" "orders" {
  name = "${local.prefix}orders"
}

# For messages with an ordering key.
resource "aws_sns_topic" "orders_fifo" {
  name       = "${local.prefix}orders.fifo"
  fifo_topic = true
}
