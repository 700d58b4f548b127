//! The conformance suite on Google's emulators of Firestore and Pub/Sub, and on fake-gcs-server.

use isobar_e2e::backends::gcp::{Gcp, Services, gaps};
use isobar_e2e::backends::suite;

fn main() -> std::process::ExitCode {
    suite().run_if_present("gcp", || {
        let (services, guard) = Services::start()?;
        Ok((Gcp { name: "gcp", services, gaps: gaps::EMULATORS }, guard))
    })
}
