
  # The app reads the keys of written items.
  stream_enabled   = true
  stream_view_type = "KEYS_ONLY"
