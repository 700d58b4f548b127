//! The conformance suite on Google's emulators of Firestore and Pub/Sub, and on fake-gcs-server.

use isobar_conformance::backends::gcp::{Gcp, Services, gaps};
use isobar_conformance::emulators::{FakeGcs, GoogleEmulator, GoogleProgram};

fn main() -> std::process::ExitCode {
    isobar_conformance::run_if_present("gcp", || {
        let firestore = GoogleEmulator::start(GoogleProgram::Firestore)?;
        let pub_sub = GoogleEmulator::start(GoogleProgram::PubSub)?;
        let storage = FakeGcs::start(&pub_sub.endpoint)?;
        let services = Services {
            firestore: firestore.endpoint.clone(),
            pub_sub: pub_sub.endpoint.clone(),
            storage: Some(storage.endpoint.clone()),
        };
        Ok((Gcp { name: "gcp", services, gaps: gaps::EMULATORS }, (firestore, pub_sub, storage)))
    })
}
