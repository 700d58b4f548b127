
  # A copy to retry is for one subscription.
  filter = {{filter}}
