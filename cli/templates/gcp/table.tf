# No query reads these fields, so their indexes would only make writes more expensive.
resource "google_firestore_field" "{{id}}" {
  for_each = toset(["p", "v", "n", "w"])

  database   = google_firestore_database.tables.name
  collection = "${local.prefix}{{name}}"
  field      = each.value

  index_config {}
}

resource "google_firestore_field" "{{id}}_expire_at" {
  database   = google_firestore_database.tables.name
  collection = "${local.prefix}{{name}}"
  field      = "expireAt"

  ttl_config {}

  # Rising times at one end of an index would limit the rate of writes.
  index_config {}
}

