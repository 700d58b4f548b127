//! Prints a script for `sh` that creates the resources of an app on Google Cloud, except its service and buckets.
//!
//! ```sh
//! ISOBAR_MANIFEST=1 target/release/shortener |
//!     cargo run -p isobar-gcp --example deployment -- \
//!     shortener https://shortener-abc.a.run.app caller@PROJECT.iam.gserviceaccount.com europe-west1 > deploy.sh
//! sh deploy.sh
//! ```
//!
//! A fifth argument is the Eventarc region of the database of Firestore, if it is not the region of the service.
//!
//! It needs the same variables as the app, among them `GOOGLE_CLOUD_PROJECT`. Before the script runs, grant once per
//! project: `roles/pubsub.publisher` to Cloud Storage's service agent, for notifications, and `roles/pubsub.publisher`
//! and `roles/pubsub.subscriber` to Pub/Sub's, for dead letters.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a command prints

use std::process::ExitCode;

use isobar_abstraction::BoxError;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::manifest::Manifest;
use isobar_gcp::{DeployedService, GcpConfig, deployment, deployment_script};

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
    let [name, url, account, region, database_region @ ..] = arguments.as_slice() else {
        let usage = "usage: deployment SERVICE SERVICE_URL SERVICE_ACCOUNT REGION [DATABASE_REGION], with the manifest on \
                     standard input";
        return Err(usage.into());
    };
    let service = DeployedService::new(name, url, account, region);
    let service = service.with_database_region(database_region.first().unwrap_or(region));
    let manifest: Manifest = serde_json::from_reader(std::io::stdin()).map_err(|error| {
        format!("standard input is not a manifest: {error}; run the app with ISOBAR_MANIFEST=1 to print one")
    })?;
    let environment = Environment::new(std::env::vars(), []);
    environment.set_app(&manifest.app);
    let config = GcpConfig::from_environment(&environment)?;
    print!("{}", deployment_script(&deployment(&manifest, &config, &service)?));
    Ok(())
}
