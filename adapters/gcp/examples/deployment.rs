//! Prints what makes all that an app needs on Google Cloud beside its service, as a script for `sh`.
//!
//! ```sh
//! ISOBAR_MANIFEST=1 target/release/shortener |
//!     cargo run -p isobar-gcp --example deployment -- \
//!     https://shortener-abc.a.run.app caller@PROJECT.iam.gserviceaccount.com europe-west1 > deploy.sh
//! sh deploy.sh
//! ```
//!
//! It is to see the same variables as the app, `GOOGLE_CLOUD_PROJECT` among them. Before the script somebody grants, once
//! per project, Cloud Storage's service agent `roles/pubsub.publisher`, and Pub/Sub's `roles/pubsub.publisher` and
//! `roles/pubsub.subscriber`, which notifications and dead letters need.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command speaks so

use std::process::ExitCode;

use isobar_abstraction::BoxError;
use isobar_abstraction::driver::Environment;
use isobar_gcp::{GcpConfig, deployment, deployment_script};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [service, account, region] = arguments.as_slice() else {
        return Err("usage: deployment SERVICE_URL SERVICE_ACCOUNT REGION, with the manifest on standard input".into());
    };
    let manifest = serde_json::from_reader(std::io::stdin())
        .map_err(|error| format!("standard input is no manifest: {error}; ISOBAR_MANIFEST=1 prints one"))?;
    let config = GcpConfig::from_environment(&Environment::new(std::env::vars(), []))?;
    print!("{}", deployment_script(&deployment(&manifest, &config, service, account, region)?));
    Ok(())
}
