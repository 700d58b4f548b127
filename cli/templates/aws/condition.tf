      Condition = { ArnEquals = { "aws:SourceArn" = {{source}} } }
