//! **A double** of the Cosmos DB trigger of Functions, made by isobar: for each range of a container it keeps a position, and
//! reads the documents that changed after it from the change feed of Microsoft's emulator. Its mode is that of the latest
//! version, which has no deletes.
//!
//! A failed call moves the position too, unless the function has a retry policy without an end: so does
//! `ProcessChangesAsync` in
//! <https://github.com/Azure/azure-webjobs-sdk-extensions/blob/dev/src/WebJobs.Extensions.CosmosDB/Trigger/CosmosDBTriggerListener.cs>.

use std::collections::BTreeMap;

use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::Value;

use super::cosmos::{changes, ranges};
use super::host::Host;
use crate::functions_host::Trigger;

/// The positions in the feeds of all containers.
#[derive(Debug)]
pub(super) struct Feeds {
    endpoint: String,
    /// By container and range.
    leases: Mutex<BTreeMap<(String, String), String>>,
}

impl Feeds {
    pub(super) fn new(endpoint: String) -> Self {
        Self { endpoint, leases: Mutex::default() }
    }

    /// Starts the feed of a container at its present end, as `startFromBeginning` `false` does.
    pub(super) async fn subscribe(&self, container: &str) -> Result<()> {
        for range in ranges(&self.endpoint, container).await? {
            let (position, _) = changes(&self.endpoint, container, &range, "*").await?;
            self.leases.lock().insert((container.to_owned(), range), position);
        }
        Ok(())
    }

    /// Reads all ranges of a container once, and calls the function of its trigger with the changes of each. Returns whether
    /// the function handled any.
    pub(super) async fn poll(&self, trigger: Trigger<'_>, host: &Host) -> Result<bool> {
        if host.files().host["extensions"]["cosmosDB"]["serializerSettings"]["dateParseHandling"] != "None" {
            return Err(Error::config(
                "the trigger would rewrite texts that look like times, which this double does not do",
            ));
        }
        let container = trigger.text("containerName").unwrap_or_default();
        let leases = self.leases.lock().clone();
        let mut any = false;
        for (lease, position) in leases.into_iter().filter(|((of, _), _)| of == container) {
            let (next, documents) = changes(&self.endpoint, container, &lease.1, &position).await?;
            if documents.is_empty() {
                continue;
            }
            let handled = host.call(&trigger.documents(&documents)).await.is_ok();
            any |= handled;
            if handled || trigger.retry["maxRetryCount"] != Value::from(-1) {
                self.leases.lock().insert(lease, next);
            }
        }
        Ok(any)
    }
}
