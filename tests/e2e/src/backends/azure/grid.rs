//! **A double** of Event Grid, made by us: it stands between the provider and the blobs, lets everything through,
//! and puts what happened in a container into its queue, in the schema of Event Grid.
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
use crate::front::{Front, forward, listen, serve};

/// A way to the blobs that tells of them.
#[derive(Debug)]
pub(super) struct Grid {
    url: String,
    emulator: String,
    storage: Arc<Storage>,
    clock: ManualClock,
    /// By container, the queue of its events.
    queues: Mutex<BTreeMap<String, String>>,
    events: AtomicU64,
}

impl Grid {
    /// Listens on a free port of the loopback, as long as the trial's runtime lives.
    pub(super) async fn start(emulator: &str, storage: Arc<Storage>, clock: &ManualClock) -> Result<Arc<Self>> {
        let (listener, url) = listen().await?;
        let (emulator, clock, queues) = (emulator.to_owned(), clock.clone(), Mutex::default());
        let grid = Arc::new(Self { url, emulator, storage, clock, queues, events: AtomicU64::new(1) });
        serve(listener, Arc::clone(&grid));
        Ok(grid)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn leads(&self, container: &str) -> bool {
        self.queues.lock().contains_key(container)
    }

    /// Leads the events of a container into a queue, as a subscription of Event Grid does.
    pub(super) fn lead(&self, container: String, queue: String) {
        self.queues.lock().insert(container, queue);
    }

    /// Tells of what a request did that succeeded.
    async fn tell(&self, parts: &Parts, size: u64) -> Result<()> {
        let Some((kind, api)) = change(parts) else { return Ok(()) };
        let path = parts.uri.path();
        let Some((container, blob)) = named(path) else { return Ok(()) };
        let Some(queue) = self.queues.lock().get(&container).cloned() else { return Ok(()) };
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
        self.storage.send(&queue, &BASE64_STANDARD.encode(event.to_string())).await
    }
}

/// The container and the blob of a path, whose first part is the account.
fn named(path: &str) -> Option<(String, String)> {
    let (_, path) = path.trim_start_matches('/').split_once('/')?;
    path.split_once('/').map(|(container, blob)| (container.to_owned(), decoded(blob)))
}

/// What a request does to a blob, as Event Grid calls it, and the operation.
fn change(parts: &Parts) -> Option<(&'static str, &'static str)> {
    let query = parts.uri.query().unwrap_or_default();
    let asks = |pair: &str| query.split('&').any(|it| it == pair);
    let part = query.split('&').any(|it| it.starts_with("comp=")) || asks("restype=container");
    match parts.method {
        Method::PUT if asks("comp=blocklist") => Some(("BlobCreated", "PutBlockList")),
        Method::PUT if part => None,
        Method::PUT if parts.headers.contains_key("x-ms-copy-source") => Some(("BlobCreated", "CopyBlob")),
        Method::PUT => Some(("BlobCreated", "PutBlob")),
        Method::DELETE if !part => Some(("BlobDeleted", "DeleteBlob")),
        _ => None,
    }
}

#[async_trait]
impl Front for Grid {
    async fn pass(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let size = body.len() as u64;
        let answer = forward(&self.emulator, &parts, body).await?;
        if answer.status().is_success() {
            self.tell(&parts, size).await?;
        }
        Ok(answer)
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
