//! What isobar wrote is read by Google's own libraries, and the other way round.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

mod messages;
mod objects;
mod stored;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use isobar::{Cloud, Environment, ManualClock, Result};
use isobar_conformance::emulators::{Absent, FakeGcs, GoogleEmulator, GoogleProgram, GoogleSdk, Python};
use isobar_conformance::{Checked, run_check};
use isobar_gcp::{GcpConfig, GcpProvider};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The emulators, and both libraries on them.
pub(crate) struct Both {
    firestore: GoogleEmulator,
    pub_sub: GoogleEmulator,
    storage: FakeGcs,
    sdk: GoogleSdk,
    folder: TempDir,
}

type Check = fn(Arc<Both>) -> BoxFuture<'static, Checked>;

const TRIALS: &[(&str, Check)] = &[
    ("python_reads_our_items", |both| Box::pin(stored::python_reads_ours(both))),
    ("our_items_are_also_those_of_python", |both| Box::pin(stored::ours_are_pythons(both))),
    ("python_and_we_count_in_one_counter", |both| Box::pin(stored::both_count(both))),
    ("python_reads_our_objects", |both| Box::pin(objects::python_reads_ours(both))),
    ("our_objects_are_also_those_of_python", |both| Box::pin(objects::ours_are_pythons(both))),
    ("python_signs_the_same_urls", |both| Box::pin(objects::python_signs_the_same(both))),
    ("python_receives_our_messages", |both| Box::pin(messages::python_receives_ours(both))),
];

/// Longest run of a trial. It bounds a trial that hangs; no trial waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let both = if arguments.list { Err(Absent::new("nothing", "only listed")) } else { start().map(Arc::new) };
    if let Err(absent) = &both
        && absent.is_required()
    {
        panic!("{} is required: {}", absent.need, absent.reason);
    }
    let trials = TRIALS.iter().map(|(name, check)| {
        let both = both.as_ref().map(Arc::clone).map_err(|absent| absent.reason.clone());
        Trial::ignorable_test(format!("gcp::interop::{name}"), move || match both {
            Ok(both) => run_check(PATIENCE, check(both)).map(|()| Completion::Completed),
            Err(reason) => Ok(Completion::ignored_with(reason)),
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    // An emulator must not outlive the trials, and `exit` would drop nothing.
    drop(both);
    conclusion.exit_code()
}

fn start() -> std::result::Result<Both, Absent> {
    let python = Python::ready()?;
    let (firestore, pub_sub) =
        (GoogleEmulator::start(GoogleProgram::Firestore)?, GoogleEmulator::start(GoogleProgram::PubSub)?);
    let (storage, folder) = (FakeGcs::start()?, TempDir::new().unwrap());
    let settings = json!({
        "firestore": firestore.endpoint, "pubsub": pub_sub.endpoint, "storage": storage.endpoint,
        "key": folder.path().join("key.json"),
    });
    let sdk = GoogleSdk::start(&python, &settings).unwrap();
    Ok(Both { firestore, pub_sub, storage, sdk, folder })
}

impl Both {
    /// Our provider, in a project of its own.
    pub(crate) fn cloud(&self, project: &str) -> Result<Cloud> {
        let key = self.folder.path().join("key.json");
        let environment = Environment::default()
            .with_var("GOOGLE_CLOUD_PROJECT", project)
            // Buckets are in no project.
            .with_var("ISOBAR_PREFIX", format!("{project}-"))
            .with_var("FIRESTORE_EMULATOR_HOST", &*self.firestore.endpoint)
            .with_var("PUBSUB_EMULATOR_HOST", &*self.pub_sub.endpoint)
            .with_var("STORAGE_EMULATOR_HOST", &*self.storage.endpoint)
            .with_var("GOOGLE_APPLICATION_CREDENTIALS", key.display().to_string());
        let config = GcpConfig::from_environment(&environment)?;
        Ok(Cloud::new(Arc::new(GcpProvider::with_clock(config, Arc::new(ManualClock::default())))))
    }

    /// A call of Google's libraries, in this project.
    pub(crate) fn call(&self, project: &str, operation: &str, mut input: Value) -> Result<Value> {
        input["project"] = project.into();
        tokio::task::block_in_place(|| self.sdk.call(operation, &input))
    }
}

/// Bytes for Google's libraries.
pub(crate) fn bytes(value: &[u8]) -> Value {
    use base64::Engine;
    json!({"bytes": base64::prelude::BASE64_STANDARD.encode(value)})
}
