//! A proxy between the provider and a storage account's queues. It keeps the visibility timeouts that the provider
//! requests, since they are of the trial's clock, and hides such messages for a day. Everything else passes unchanged.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use isobar::clock::ManualClock;
use isobar::{Body, Result};

use super::storage::{Queued, Storage, queued};
use crate::backends::hidden::HiddenMessages;
use crate::backends::read_body;
use crate::server::{Respond, forward, start};

/// Longer than any trial, in seconds.
const DAY: u64 = 86_400;

/// The proxy.
#[derive(Debug)]
pub(super) struct QueueProxy {
    url: String,
    emulator: String,
    storage: Arc<Storage>,
    hidden: HiddenMessages,
}

impl QueueProxy {
    pub(super) async fn start(emulator: &str, storage: Arc<Storage>, clock: &ManualClock) -> Result<Arc<Self>> {
        let (emulator, hidden) = (emulator.to_owned(), HiddenMessages::new(clock));
        start(|url| Self { url, emulator, storage, hidden }).await
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Receives messages, and hides each for as long.
    pub(super) async fn receive(&self, queue: &str, timeout: Duration) -> Result<Vec<Queued>> {
        for due in self.hidden.take_due(queue) {
            self.storage.hide(queue, &due.id, &due.receipt, 0).await?;
        }
        let messages = self.storage.receive(queue, DAY).await?;
        messages.iter().for_each(|message| self.hidden.hide(queue, &message.id, &message.receipt, timeout));
        Ok(messages)
    }

    /// Deletes a message that was received.
    pub(super) async fn delete(&self, queue: &str, message: &Queued) -> Result<()> {
        self.hidden.forget(&message.id);
        self.storage.delete(queue, &message.id, &message.receipt).await
    }

    /// Makes a message that was received visible again.
    pub(super) fn release(&self, message: &Queued) {
        self.hidden.release(&message.id);
    }

    /// Keeps the visibility timeout of a message that was just sent, and hides it for longer.
    async fn hide_sent(&self, request: &Parts, response: &Bytes) -> Result<()> {
        let Some((queue, timeout)) = delayed(request) else { return Ok(()) };
        for sent in queued(response)? {
            let receipt = self.storage.hide(&queue, &sent.id, &sent.receipt, DAY).await?;
            self.hidden.hide(&queue, &sent.id, &receipt, timeout);
        }
        Ok(())
    }
}

/// The queue and the visibility timeout of a request that sends a message with one.
fn delayed(request: &Parts) -> Option<(String, Duration)> {
    let queue = request.uri.path().strip_suffix("/messages")?.rsplit('/').next()?;
    let mut query = request.uri.query()?.split('&');
    let seconds = query.find_map(|pair| pair.strip_prefix("visibilitytimeout="))?.parse().ok()?;
    (request.method == Method::POST && seconds > 0).then(|| (queue.to_owned(), Duration::from_secs(seconds)))
}

#[async_trait]
impl Respond for QueueProxy {
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let (head, body) = forward(&self.emulator, &parts, body).await?.into_parts();
        let body = read_body(body).await?;
        if head.status.is_success() {
            self.hide_sent(&parts, &body).await?;
        }
        Ok(Response::from_parts(head, Body::from(body)))
    }
}
