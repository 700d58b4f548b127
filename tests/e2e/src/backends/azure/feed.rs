//! **A double** of the Cosmos DB trigger of Functions, made by isobar: for each range of a container it keeps a position, and
//! reads the documents that changed after it from the change feed of Microsoft's emulator. Its mode is that of the latest
//! version, which has no deletes.

use std::collections::BTreeMap;

use isobar::Result;
use parking_lot::Mutex;
use serde_json::Value;

use super::cosmos::{changes, ranges};

/// The positions in the feeds of all containers.
#[derive(Debug)]
pub(super) struct Feeds {
    endpoint: String,
    /// By container and range.
    leases: Mutex<BTreeMap<(String, String), String>>,
}

/// A part of the feed of a range.
#[derive(Debug)]
pub(super) struct Part {
    lease: (String, String),
    next: String,
    pub(super) documents: Vec<Value>,
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

    /// The changes of each range of a container since its position.
    pub(super) async fn read(&self, container: &str) -> Result<Vec<Part>> {
        let leases = self.leases.lock().clone();
        let mut parts = Vec::new();
        for (lease, position) in leases.into_iter().filter(|((of, _), _)| of == container) {
            let (next, documents) = changes(&self.endpoint, container, &lease.1, &position).await?;
            if !documents.is_empty() {
                parts.push(Part { lease, next, documents });
            }
        }
        Ok(parts)
    }

    /// Moves the position after a part.
    pub(super) fn acknowledge(&self, part: Part) {
        self.leases.lock().insert(part.lease, part.next);
    }
}
