//! The conformance suite on Google's emulators of Firestore and Pub/Sub, and on fake-gcs-server.

use isobar_conformance::backends::gcp::{Gcp, Services};
use isobar_conformance::emulators::{GoogleEmulator, GoogleProgram};

fn main() -> std::process::ExitCode {
    isobar_conformance::run_if_present("gcp", || {
        let firestore = GoogleEmulator::start(GoogleProgram::Firestore)?;
        let services = Services { firestore: firestore.endpoint.clone() };
        Ok((Gcp { services, gaps: &[] }, firestore))
    })
}
