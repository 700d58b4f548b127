//! What stands between the provider and a storage account's queues, and lets everything through. For how long a
//! message is to be hidden it keeps, to be measured by the trial's clock; the emulator is told a day.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use isobar::clock::ManualClock;
use isobar::driver::Clock;
use isobar::{Body, Result};
use parking_lot::Mutex;

use super::storage::{Queued, Storage, queued};
use crate::backends::whole;
use crate::front::{Front, forward, listen, serve};

/// As long as any trial, in seconds.
const LONG: u64 = 86_400;

/// A message that is hidden.
#[derive(Debug, Clone)]
struct Hidden {
    queue: String,
    id: String,
    receipt: String,
    until: SystemTime,
}

/// A way to the queues that remembers what is hidden.
#[derive(Debug)]
pub(super) struct Tap {
    url: String,
    emulator: String,
    storage: Arc<Storage>,
    clock: ManualClock,
    hidden: Mutex<Vec<Hidden>>,
}

impl Tap {
    /// Listens on a free port of the loopback, as long as the trial's runtime lives.
    pub(super) async fn start(emulator: &str, storage: Arc<Storage>, clock: &ManualClock) -> Result<Arc<Self>> {
        let (listener, url) = listen().await?;
        let (emulator, clock) = (emulator.to_owned(), clock.clone());
        let tap = Arc::new(Self { url, emulator, storage, clock, hidden: Mutex::default() });
        serve(listener, Arc::clone(&tap));
        Ok(tap)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Takes messages, and hides each for so long.
    pub(super) async fn receive(&self, queue: &str, hide: Duration) -> Result<Vec<Queued>> {
        self.show(queue).await?;
        let messages = self.storage.receive(queue, LONG).await?;
        messages.iter().for_each(|message| self.keep(queue, &message.id, &message.receipt, hide));
        Ok(messages)
    }

    /// A message that was received and is done with.
    pub(super) async fn delete(&self, queue: &str, message: &Queued) -> Result<()> {
        self.hidden.lock().retain(|hidden| hidden.id != message.id);
        self.storage.delete(queue, &message.id, &message.receipt).await
    }

    /// A message that was received is to be seen again at once.
    pub(super) fn give_back(&self, message: &Queued) {
        let now = self.clock.now();
        let mut hidden = self.hidden.lock();
        hidden.iter_mut().filter(|hidden| hidden.id == message.id).for_each(|hidden| hidden.until = now);
    }

    fn keep(&self, queue: &str, id: &str, receipt: &str, hide: Duration) {
        let until = self.clock.now() + hide;
        let hidden = Hidden { queue: queue.to_owned(), id: id.to_owned(), receipt: receipt.to_owned(), until };
        self.hidden.lock().push(hidden);
    }

    /// Shows what was hidden long enough.
    async fn show(&self, queue: &str) -> Result<()> {
        let now = self.clock.now();
        let due = |hidden: &mut Hidden| hidden.queue == queue && hidden.until <= now;
        let due: Vec<_> = self.hidden.lock().extract_if(.., due).collect();
        for Hidden { queue, id, receipt, .. } in due {
            self.storage.hide(&queue, &id, &receipt, 0).await?;
        }
        Ok(())
    }

    /// Keeps for how long a message that was just sent is to be hidden, and hides it for longer.
    async fn note(&self, parts: &Parts, answer: &Bytes) -> Result<()> {
        let Some((queue, seconds)) = put_off(parts) else { return Ok(()) };
        for sent in queued(answer)? {
            let receipt = self.storage.hide(&queue, &sent.id, &sent.receipt, LONG).await?;
            self.keep(&queue, &sent.id, &receipt, Duration::from_secs(seconds));
        }
        Ok(())
    }
}

/// The queue to which a message is sent that is not to be seen yet, and for how many seconds.
fn put_off(parts: &Parts) -> Option<(String, u64)> {
    let queue = parts.uri.path().strip_suffix("/messages")?.rsplit('/').next()?;
    let mut query = parts.uri.query()?.split('&');
    let seconds = query.find_map(|pair| pair.strip_prefix("visibilitytimeout="))?.parse().ok()?;
    (parts.method == Method::POST && seconds > 0).then(|| (queue.to_owned(), seconds))
}

#[async_trait]
impl Front for Tap {
    async fn pass(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let answer = whole(forward(&self.emulator, &parts, body).await?).await?;
        if answer.status().is_success() {
            self.note(&parts, answer.body()).await?;
        }
        Ok(answer.map(Body::from))
    }
}
