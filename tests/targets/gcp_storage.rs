//! The trials of blobs on our own double of Cloud Storage, which checks what no emulator does: tokens, signatures and
//! their end, and every condition.

use isobar_conformance::backends::gcp::{Gcp, Services, gaps};
use isobar_conformance::emulators::{GoogleEmulator, GoogleProgram};

fn main() -> std::process::ExitCode {
    isobar_conformance::run_if_present("gcp-storage", || {
        let firestore = GoogleEmulator::start(GoogleProgram::Firestore)?;
        let pub_sub = GoogleEmulator::start(GoogleProgram::PubSub)?;
        let services =
            Services { firestore: firestore.endpoint.clone(), pub_sub: pub_sub.endpoint.clone(), storage: None };
        Ok((Gcp { name: "gcp-storage", services, gaps: &gaps::DOUBLE }, (firestore, pub_sub)))
    })
}
