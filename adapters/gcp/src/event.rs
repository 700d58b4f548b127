//! What Google Cloud sends to a service. Not built yet.
