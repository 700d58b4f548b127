locals {
  # Eventarc has the events of a database in several regions in one of them.
  events_location = lookup(
    { eur3 = "europe-west4", nam5 = "us-central1" },
    google_firestore_database.tables.location_id,
    google_firestore_database.tables.location_id
  )
}

