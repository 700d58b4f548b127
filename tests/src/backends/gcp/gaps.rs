//! What the emulators of Google Cloud get wrong, or what a service of Google Cloud itself cannot do, by trial.

use crate::Gap;

/// Of Google's emulators of Firestore and Pub/Sub, and of fake-gcs-server.
pub const EMULATORS: &[Gap] = &[];
