      {
        # {{purpose}}
        Effect   = "Allow"
        Action   = [{{actions}}]
        Resource = {{resource}}
      },
