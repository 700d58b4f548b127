# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.83, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ app = "shop", stage = "dev" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # The app finds its resources by this prefix.
  prefix    = "shop-dev-"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}
