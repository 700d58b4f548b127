//! **A double** of Event Grid, made by isobar: a proxy between the provider and the blobs. It passes everything
//! unchanged, and sends each change in a container to the queues of its triggers, in the schema of Event Grid.
//!
//! Source: <https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage>.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use isobar::clock::{ManualClock, to_rfc3339};
use isobar::driver::Clock;
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::json;

use super::storage::Storage;
use crate::server::{Respond, forward, start};

/// The proxy.
#[derive(Debug)]
pub(super) struct EventGrid {
    url: String,
    emulator: String,
    storage: Arc<Storage>,
    clock: ManualClock,
    /// By container, the queues of its events.
    queues: Mutex<BTreeMap<String, Vec<String>>>,
    events: AtomicU64,
}

impl EventGrid {
    pub(super) async fn start(emulator: &str, storage: Arc<Storage>, clock: &ManualClock) -> Result<Arc<Self>> {
        let (emulator, clock, queues) = (emulator.to_owned(), clock.clone(), Mutex::default());
        start(|url| Self { url, emulator, storage, clock, queues, events: AtomicU64::new(1) }).await
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Routes the events of a container to a queue, as a subscription of Event Grid does.
    pub(super) fn route(&self, container: String, queue: String) {
        self.queues.lock().entry(container).or_default().push(queue);
    }

    /// Sends the event of a request that succeeded, if it has one.
    async fn send_event(&self, parts: &Parts, size: u64) -> Result<()> {
        let Some((kind, api)) = change(parts) else { return Ok(()) };
        let path = parts.uri.path();
        let Some((container, blob)) = named(path) else { return Ok(()) };
        let queues = self.queues.lock().get(&container).cloned().unwrap_or_default();
        if queues.is_empty() {
            return Ok(());
        }
        let size = match api {
            "PutBlob" => Some(size),
            "DeleteBlob" => None,
            _ => self.storage.size(path).await?,
        };
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let event = json!({
            "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
            "subject": format!("/blobServices/default/containers/{container}/blobs/{blob}"),
            "eventType": format!("Microsoft.Storage.{kind}"), "id": format!("event-{number}"),
            "eventTime": to_rfc3339(self.clock.now()),
            "data": {
                "api": api, "contentLength": size, "blobType": "BlockBlob", "url": format!("{}{path}", self.emulator),
                "sequencer": format!("{number:032}"),
            },
            "dataVersion": "", "metadataVersion": "1",
        });
        for queue in queues {
            self.storage.send(&queue, &BASE64_STANDARD.encode(event.to_string())).await?;
        }
        Ok(())
    }
}

/// The container and the blob of a path, whose first part is the account.
fn named(path: &str) -> Option<(String, String)> {
    let (_, path) = path.trim_start_matches('/').split_once('/')?;
    path.split_once('/').map(|(container, blob)| (container.to_owned(), decoded(blob)))
}

/// Event Grid's names of the change that a request makes to a blob, and of the operation.
fn change(parts: &Parts) -> Option<(&'static str, &'static str)> {
    let query = parts.uri.query().unwrap_or_default();
    let has = |pair: &str| query.split('&').any(|it| it == pair);
    let part = query.split('&').any(|it| it.starts_with("comp=")) || has("restype=container");
    match parts.method {
        Method::PUT if has("comp=blocklist") => Some(("BlobCreated", "PutBlockList")),
        Method::PUT if part => None,
        Method::PUT if parts.headers.contains_key("x-ms-copy-source") => Some(("BlobCreated", "CopyBlob")),
        Method::PUT => Some(("BlobCreated", "PutBlob")),
        Method::DELETE if !part => Some(("BlobDeleted", "DeleteBlob")),
        _ => None,
    }
}

#[async_trait]
impl Respond for EventGrid {
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let size = body.len() as u64;
        let response = forward(&self.emulator, &parts, body).await?;
        if response.status().is_success() {
            self.send_event(&parts, size).await?;
        }
        Ok(response)
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
