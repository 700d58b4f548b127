//! What the services of Google Cloud themselves cannot do, by trial.

use isobar_conformance::Gap;

/// On Google's emulators of Firestore and Pub/Sub, and on fake-gcs-server.
pub const EMULATORS: &[Gap] = &[Gap {
    trial: "an_error_of_another_library_is_internal_and_keeps_its_text",
    reason: "Google Cloud itself: the caller is over HTTP, and receives the error without its cause",
}];
