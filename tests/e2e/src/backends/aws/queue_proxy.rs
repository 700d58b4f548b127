//! A proxy between the provider and SQS. It keeps the visibility timeouts that the provider requests, since they are
//! of the trial's clock, and requests the longest from the emulator. Everything else passes unchanged. It also knows the times
//! of the first receipts, which are of that clock too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use isobar::clock::{ManualClock, to_millis};
use isobar::driver::Clock;
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::Value;

use crate::backends::hidden::HiddenMessages;
use crate::server::{Respond, forward, start};

/// The longest that SQS hides a message, in seconds.
pub(super) const LONGEST: u64 = 43_200;

/// The proxy.
#[derive(Debug)]
pub(super) struct QueueProxy {
    url: String,
    emulator: String,
    /// By the receipt, which is also the id: SQS knows no other when it hides a message again.
    pub(super) hidden: HiddenMessages,
    clock: ManualClock,
    /// When each message was first received, in milliseconds, by its id.
    first_received: Mutex<HashMap<String, u64>>,
}

impl QueueProxy {
    pub(super) async fn start(emulator: &str, clock: &ManualClock) -> Result<Arc<Self>> {
        let emulator = emulator.to_owned();
        let (hidden, clock, first_received) = (HiddenMessages::new(clock), clock.clone(), Mutex::default());
        start(|url| Self { url, emulator, hidden, clock, first_received }).await
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Hides a message for as long.
    pub(super) fn hide(&self, queue: &str, receipt: &str, seconds: u64) {
        self.hidden.hide(queue, receipt, receipt, Duration::from_secs(seconds));
    }

    /// Sets the time of the first receipt, by the trial's clock.
    pub(super) fn mark_received(&self, message: &mut Value) {
        let id = message["MessageId"].as_str().unwrap_or_default().to_owned();
        let first = *self.first_received.lock().entry(id).or_insert_with(|| to_millis(self.clock.now()));
        message["Attributes"]["ApproximateFirstReceiveTimestamp"] = first.to_string().into();
    }

    /// Keeps the timeouts of a `ChangeMessageVisibilityBatch`, and returns one with the longest.
    fn with_longest(&self, body: &Bytes) -> Option<Bytes> {
        let mut batch: Value = serde_json::from_slice(body).ok()?;
        let queue = batch["QueueUrl"].as_str()?.rsplit('/').next()?.to_owned();
        for entry in batch["Entries"].as_array_mut()? {
            let seconds = entry["VisibilityTimeout"].as_u64()?;
            let receipt = entry["ReceiptHandle"].as_str()?;
            match seconds {
                0 => self.hidden.forget(receipt),
                1..=LONGEST => {
                    self.hide(&queue, receipt, seconds);
                    entry["VisibilityTimeout"] = LONGEST.into();
                }
                // SQS itself rejects what is out of its range.
                _ => {}
            }
        }
        Some(batch.to_string().into())
    }
}

/// A request that does not wait for messages: an emulator is one server, and what it does not have now does not exist.
fn without_wait(body: &Bytes) -> Option<Bytes> {
    let mut input: Value = serde_json::from_slice(body).ok()?;
    input["WaitTimeSeconds"] = 0.into();
    Some(input.to_string().into())
}

#[async_trait]
impl Respond for QueueProxy {
    async fn respond(&self, mut parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let operation = parts.headers.get("x-amz-target");
        let body = match operation.and_then(|it| it.to_str().ok()) {
            Some("AmazonSQS.ChangeMessageVisibilityBatch") => self.with_longest(&body).unwrap_or(body),
            Some("AmazonSQS.ReceiveMessage") => without_wait(&body).unwrap_or(body),
            _ => body,
        };
        parts.headers.remove(CONTENT_LENGTH);
        forward(&self.emulator, &parts, body).await
    }
}
