//! What stands between the provider and SQS, and lets everything through. For how long a message is
//! to be hidden it keeps, to be measured by the trial's clock; the emulator is told the most there is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use isobar::clock::ManualClock;
use isobar::driver::Clock;
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::Value;

use crate::front::{Front, forward, listen, serve};

/// The longest that SQS hides a message, in seconds.
pub(super) const LONGEST: u64 = 43_200;

/// A way to SQS that remembers what is hidden.
#[derive(Debug)]
pub(super) struct Tap {
    url: String,
    emulator: String,
    clock: ManualClock,
    /// By receipt, when it is to be seen again.
    hidden: Mutex<HashMap<String, SystemTime>>,
}

impl Tap {
    /// Listens on a free port of the loopback, as long as the trial's runtime lives.
    pub(super) async fn start(emulator: &str, clock: &ManualClock) -> Result<Arc<Self>> {
        let (listener, url) = listen().await?;
        let tap = Self { url, emulator: emulator.to_owned(), clock: clock.clone(), hidden: Mutex::default() };
        let tap = Arc::new(tap);
        serve(listener, Arc::clone(&tap));
        Ok(tap)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Hides a message for so long.
    pub(super) fn hide(&self, receipt: &str, seconds: u64) {
        let until = self.clock.now() + Duration::from_secs(seconds);
        self.hidden.lock().insert(receipt.to_owned(), until);
    }

    /// Takes the messages that are to be seen again.
    pub(super) fn due(&self, receipts: &[String]) -> Vec<String> {
        let (now, mut hidden) = (self.clock.now(), self.hidden.lock());
        let due = |receipt: &&String| hidden.get(*receipt).is_some_and(|until| *until <= now);
        let due: Vec<_> = receipts.iter().filter(due).cloned().collect();
        hidden.retain(|receipt, _| !due.contains(receipt));
        due
    }

    /// Keeps for how long messages are to be hidden, and asks for the longest.
    fn note(&self, body: &Bytes) -> Option<Bytes> {
        let mut told: Value = serde_json::from_slice(body).ok()?;
        for entry in told["Entries"].as_array_mut()? {
            let seconds = entry["VisibilityTimeout"].as_u64()?;
            // What is out of SQS's range is refused by it.
            if seconds <= LONGEST {
                self.hide(entry["ReceiptHandle"].as_str()?, seconds);
                entry["VisibilityTimeout"] = LONGEST.into();
            }
        }
        Some(told.to_string().into())
    }
}

#[async_trait]
impl Front for Tap {
    async fn pass(&self, mut parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let puts_off =
            parts.headers.get("x-amz-target").is_some_and(|it| it == "AmazonSQS.ChangeMessageVisibilityBatch");
        let sent = if puts_off { self.note(&body).unwrap_or(body) } else { body };
        parts.headers.remove(CONTENT_LENGTH);
        forward(&self.emulator, &parts, sent).await
    }
}
