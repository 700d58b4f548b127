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
    tags = merge({ app = "{{app}}", stage = "{{stage}}" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # The app finds its resources by this prefix.
  prefix    = "{{prefix}}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}
