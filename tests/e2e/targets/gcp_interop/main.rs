//! Google's own libraries read the data of isobar, and isobar reads the data of the libraries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

mod access;
mod messages;
mod objects;
mod secrets;
mod stored;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar::Result;
use isobar::driver::Environment;
use isobar_conformance::target::Check;
use isobar_conformance::{Absent, TrialResult};
use isobar_e2e::backends::account::{Account, deletes_what_it_makes};
use isobar_e2e::backends::gcp::signed::account;
use isobar_e2e::backends::gcp::{Gcp, Services};
use isobar_e2e::emulators::{Library, Python};
use isobar_e2e::permissions::operations_are_those_of_the_rows;
use serde_json::{Value, json};

/// The emulators, with clients of isobar and of Google's libraries.
pub(crate) struct Both {
    pub(crate) gcp: Gcp,
    sdk: Library,
    python: Python,
    _emulators: Box<dyn Send + Sync>,
}

const TRIALS: &[(&str, Check<Arc<Both>>)] = &[
    ("python_reads_our_items", |both| Box::pin(stored::python_reads_ours(both))),
    ("our_items_are_also_those_of_python", |both| Box::pin(stored::ours_are_pythons(both))),
    ("python_and_we_count_in_one_counter", |both| Box::pin(stored::both_count(both))),
    ("python_reads_our_objects", |both| Box::pin(objects::python_reads_ours(both))),
    ("our_objects_are_also_those_of_python", |both| Box::pin(objects::ours_are_pythons(both))),
    ("python_reads_what_was_moved", |both| Box::pin(stored::python_reads_what_was_moved(both))),
    ("names_of_python_that_are_no_paths_are_listed", |both| {
        Box::pin(objects::names_that_are_no_paths_are_listed(both))
    }),
    ("python_signs_the_same_urls", |both| Box::pin(objects::python_signs_the_same(both))),
    ("python_receives_our_messages", |both| Box::pin(messages::python_receives_ours(both))),
    ("our_handlers_receive_messages_of_python", |both| Box::pin(messages::ours_receive_pythons(both))),
    ("python_reads_our_dead_letters", |both| Box::pin(messages::python_reads_our_dead(both))),
    ("secrets_of_python_are_ours", |both| Box::pin(secrets::secrets_of_python_are_ours(both))),
    ("a_secret_manager_that_rejects_or_hangs_is_an_error", |both| {
        Box::pin(secrets::a_secret_manager_that_rejects_or_hangs(both))
    }),
    ("an_account_is_left_empty", |both| Box::pin(an_account_is_left_empty(both))),
    ("operations_have_permissions", |both| Box::pin(operations_have_permissions(both))),
    ("a_token_of_googles_library_opens_triggers", |both| Box::pin(access::a_token_opens_triggers(both))),
];

fn main() -> ExitCode {
    isobar_conformance::target::run_checks("gcp::interop", Duration::from_secs(120), TRIALS, || {
        Ok((Arc::new(start()?), ()))
    })
}

fn start() -> std::result::Result<Both, Absent> {
    let python = Python::ready()?;
    let (services, emulators) = Services::start()?;
    let settings = json!({
        "firestore": services.firestore, "pubsub": services.pub_sub, "storage": services.storage,
        "key": serde_json::from_str::<Value>(&account()).unwrap(),
    });
    let sdk = Library::start(&python, "google_sdk.py", &settings, &[]).unwrap();
    Ok(Both { gcp: Gcp { name: "gcp", services, gaps: &[] }, sdk, python, _emulators: Box::new(emulators) })
}

async fn an_account_is_left_empty(both: Arc<Both>) -> TrialResult {
    let Services { firestore, pub_sub, storage } = &both.gcp.services;
    // Google's libraries accept no scheme in these two.
    let environment = Environment::default()
        .with_var("GOOGLE_CLOUD_PROJECT", "account")
        .with_var("FIRESTORE_EMULATOR_HOST", firestore.trim_start_matches("http://"))
        .with_var("PUBSUB_EMULATOR_HOST", pub_sub.trim_start_matches("http://"))
        .with_var("STORAGE_EMULATOR_HOST", &**storage);
    deletes_what_it_makes(Account::new("gcp", environment, &both.python, 1)?, 3).await
}

async fn operations_have_permissions(both: Arc<Both>) -> TrialResult {
    let worlds = [both.gcp.open_as("op").await?];
    operations_are_those_of_the_rows(&worlds, isobar_gcp::PERMISSION_ROWS, &UNSENT).await
}

/// The operations that the trial does not send.
const UNSENT: [(&str, &str); 1] = [("SignBlob", "the key of the account signs here; the tests of the adapter send it")];

impl Both {
    /// Calls Google's libraries in this project.
    pub(crate) fn call(&self, project: &str, operation: &str, mut input: Value) -> Result<Value> {
        input["project"] = project.into();
        tokio::task::block_in_place(|| self.sdk.call(operation, &input))
    }
}

/// The JSON form of bytes for Google's libraries.
pub(crate) fn bytes(value: &[u8]) -> Value {
    use base64::Engine;
    json!({"bytes": base64::prelude::BASE64_STANDARD.encode(value)})
}
