      Condition = {
        ArnEquals    = { "aws:SourceArn" = {{source}} }
        StringEquals = { "aws:SourceAccount" = local.account }
      }
