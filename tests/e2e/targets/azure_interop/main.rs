//! Azure's own libraries read the data of isobar, and isobar reads the data of the libraries; the emulators check keys and
//! tokens, and throttle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

mod access;
mod certificates;
mod messages;
mod secrets;
mod stored;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isobar::driver::Environment;
use isobar_conformance::target::Check;
use isobar_conformance::{Absent, TrialResult};
use isobar_e2e::backends::account::{Account, deletes_what_it_makes};
use isobar_e2e::backends::azure::{Azure, Services};
use isobar_e2e::emulators::{
    ACCOUNT, ACCOUNT_KEY, Azurite, COSMOS_KEY, CosmosEmulator, CosmosProgram, Library, Node, Python,
};
use isobar_e2e::permissions::operations_are_those_of_the_rows;
use serde_json::{Value, json};

/// The installed programs that the trials use.
pub(crate) struct Installed {
    pub(crate) python: Python,
    pub(crate) node: Node,
    pub(crate) cosmos: CosmosProgram,
}

/// The emulators, with clients of isobar and of Azure's libraries.
pub(crate) struct Both {
    /// Values in Table Storage, messages in queues.
    pub(crate) storage: Azure,
    /// Values in Cosmos DB, messages in the double of Service Bus.
    pub(crate) full: Azure,
    pub(crate) sdk: Library,
    pub(crate) installed: Installed,
    _emulators: (Azurite, CosmosEmulator),
}

const TRIALS: &[(&str, Check<Arc<Both>>)] = &[
    ("python_reads_our_items_in_table_storage", |both| Box::pin(stored::python_reads_our_entities(both))),
    ("our_items_in_table_storage_are_also_those_of_python", |both| Box::pin(stored::our_entities_are_pythons(both))),
    ("python_reads_our_items_in_cosmos_db", |both| Box::pin(stored::python_reads_our_documents(both))),
    ("our_items_in_cosmos_db_are_also_those_of_python", |both| Box::pin(stored::our_documents_are_pythons(both))),
    ("python_reads_our_objects", |both| Box::pin(stored::python_reads_our_objects(both))),
    ("our_objects_are_also_those_of_python", |both| Box::pin(stored::our_objects_are_pythons(both))),
    ("python_reads_what_was_moved", |both| Box::pin(stored::python_reads_what_was_moved(both))),
    ("names_of_python_that_are_no_paths_are_listed", |both| Box::pin(stored::names_that_are_no_paths_are_listed(both))),
    ("python_receives_our_messages", |both| Box::pin(messages::python_receives_ours(both))),
    ("our_handlers_receive_messages_of_python", |both| Box::pin(messages::ours_receive_pythons(both))),
    ("a_wrong_key_is_rejected_by_every_service", |both| Box::pin(access::a_wrong_key_is_rejected(both))),
    ("an_identity_opens_the_storage_account", |both| Box::pin(access::an_identity_opens_the_account(both))),
    ("an_identity_signs_urls_of_objects", |both| Box::pin(access::an_identity_signs_urls(both))),
    ("an_identity_publishes_to_the_double_of_service_bus", |both| {
        Box::pin(access::an_identity_publishes_to_service_bus(both))
    }),
    ("secrets_of_python_are_ours", |both| Box::pin(secrets::secrets_of_python_are_ours(both))),
    ("a_vault_that_rejects_or_hangs_is_an_error", |both| Box::pin(secrets::a_vault_that_rejects_or_hangs(both))),
    ("an_account_is_left_empty", |both| Box::pin(an_account_is_left_empty(both))),
    ("operations_have_permissions", |both| Box::pin(operations_have_permissions(both))),
    ("throttled_requests_are_retried", |both| Box::pin(access::throttled_requests_are_retried(both))),
];

fn main() -> ExitCode {
    isobar_conformance::target::run_checks("azure::interop", Duration::from_secs(120), TRIALS, || {
        Ok((Arc::new(start()?), ()))
    })
}

fn start() -> Result<Both, Absent> {
    let installed = Installed { python: Python::ready()?, node: Node::ready()?, cosmos: CosmosProgram::ready()? };
    let azurite = Azurite::start(&installed.node).unwrap();
    let cosmos = CosmosEmulator::start(&installed.cosmos).unwrap();
    let sdk = Library::start(&installed.python, "azure_sdk.py", &settings(&azurite, &cosmos.endpoint), &[]).unwrap();
    let services = Services::storage(&azurite);
    let full = Azure { name: "full", services: services.clone().with_cosmos(&cosmos.endpoint), gaps: &[] };
    let storage = Azure { name: "storage", services, gaps: &[] };
    Ok(Both { storage, full, sdk, installed, _emulators: (azurite, cosmos) })
}

async fn an_account_is_left_empty(both: Arc<Both>) -> TrialResult {
    let Services { blob, queue, table, .. } = &both.storage.services;
    let storage = format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};BlobEndpoint={blob}/{ACCOUNT};\
         QueueEndpoint={queue}/{ACCOUNT};TableEndpoint={table}/{ACCOUNT}"
    );
    let environment = Environment::default().with_var("AZURE_STORAGE_CONNECTION_STRING", storage);
    let account = Account::new("azure", environment, &both.installed.python, 1)?;
    deletes_what_it_makes(account, 3).await
}

/// On both services of tables and topics.
async fn operations_have_permissions(both: Arc<Both>) -> TrialResult {
    let worlds = [both.storage.open_as("op-").await?, both.full.open_as("of-").await?];
    operations_are_those_of_the_rows(&worlds, isobar_azure::PERMISSION_ROWS, &UNSENT).await
}

/// The operations that the trial does not send.
const UNSENT: [(&str, &str); 1] =
    [("GetUserDelegationKey", "a key signs here; `an_identity_signs_urls_of_objects` sends it")];

/// The settings of Azure's libraries for the emulators.
pub(crate) fn settings(azurite: &Azurite, cosmos: &str) -> Value {
    json!({
        "blob": azurite.blob, "queue": azurite.queue, "table": azurite.table, "account": ACCOUNT, "key": ACCOUNT_KEY,
        "cosmos": cosmos, "cosmos_key": COSMOS_KEY,
    })
}

/// The JSON form of bytes for Azure's libraries.
pub(crate) fn bytes(value: &[u8]) -> Value {
    use base64::Engine;
    json!({"bytes": base64::prelude::BASE64_STANDARD.encode(value)})
}
