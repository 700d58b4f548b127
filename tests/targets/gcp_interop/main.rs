//! What isobar wrote is read by Google's own libraries, and the other way round.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

mod access;
mod messages;
mod objects;
mod stored;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use isobar::Result;
use isobar_conformance::backends::gcp::storage::account;
use isobar_conformance::backends::gcp::{Gcp, Services};
use isobar_conformance::emulators::{Absent, FakeGcs, GoogleEmulator, GoogleProgram, GoogleSdk, Python};
use isobar_conformance::{Checked, run_check};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::{Value, json};

/// The emulators, and both libraries on them.
pub(crate) struct Both {
    pub(crate) gcp: Gcp,
    sdk: GoogleSdk,
    _emulators: (GoogleEmulator, GoogleEmulator, FakeGcs),
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
    ("our_handlers_are_given_messages_of_python", |both| Box::pin(messages::ours_are_given_pythons(both))),
    ("python_reads_our_dead_letters", |both| Box::pin(messages::python_reads_our_dead(both))),
    ("a_token_of_googles_library_opens_triggers", |both| Box::pin(access::a_token_opens_triggers(both))),
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
    let firestore = GoogleEmulator::start(GoogleProgram::Firestore)?;
    let pub_sub = GoogleEmulator::start(GoogleProgram::PubSub)?;
    let storage = FakeGcs::start(&pub_sub.endpoint)?;
    let settings = json!({
        "firestore": firestore.endpoint, "pubsub": pub_sub.endpoint, "storage": storage.endpoint,
        "key": serde_json::from_str::<Value>(&account()).unwrap(),
    });
    let sdk = GoogleSdk::start(&python, &settings).unwrap();
    let services = Services {
        firestore: firestore.endpoint.clone(),
        pub_sub: pub_sub.endpoint.clone(),
        storage: Some(storage.endpoint.clone()),
    };
    Ok(Both { gcp: Gcp { name: "gcp", services, gaps: &[] }, sdk, _emulators: (firestore, pub_sub, storage) })
}

impl Both {
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
