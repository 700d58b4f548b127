//! Enqueueing inside the write of a table, of a bucket or of a topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::host::write_messages;
use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::driver::{Clock, ResourceKind};
use isobar_abstraction::manifest::ObjectFilter;
use isobar_abstraction::{EventQueue, ObjectEvent, Result};
use parking_lot::Mutex;
use redb::WriteTransaction;
use tokio::sync::Notify;

use super::lane::{Encoded, append_in, subscribed_in};
use super::record::Record;
use crate::chaos::Chaos;

/// What a write needs to enqueue events in its own transaction. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Enqueuer(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) time: Arc<Time>,
    pub(super) changed: Arc<Notify>,
    /// The filters of object events, by queue. An event that one does not accept is not enqueued; without a filter the app
    /// decides.
    filters: Mutex<BTreeMap<EventQueue, ObjectFilter>>,
    /// Whether the writes of a table are handled, as far as it is known.
    written: Mutex<BTreeMap<String, bool>>,
    pub(super) chaos: Option<Arc<Chaos>>,
}

/// The clock of a queue.
///
/// Times that are stored are read inside their transaction: one that was read before it could be stored after
/// [`follow_clock`], and be that of a clock which was set back meanwhile.
#[derive(Debug)]
pub(super) struct Time {
    clock: Arc<dyn Clock>,
    /// The latest time that was seen, in milliseconds.
    pub(super) seen_ms: AtomicU64,
}

impl Time {
    pub(super) fn now(&self) -> SystemTime {
        let now = self.clock.now();
        self.seen_ms.fetch_max(to_millis(now), Ordering::Relaxed);
        now
    }

    pub(super) fn now_ms(&self) -> u64 {
        to_millis(self.now())
    }
}

/// Wakes the workers when it is dropped.
///
/// Return it from the closure that is given to [`Store::write`]: it is dropped after the
/// transaction is durable, also where the caller has dropped its future meanwhile.
#[derive(Debug)]
pub(crate) struct Wake(Arc<Notify>);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl Enqueuer {
    pub(super) fn new(clock: Arc<dyn Clock>, chaos: Option<Arc<Chaos>>) -> Self {
        let time = Arc::new(Time { clock, seen_ms: AtomicU64::new(0) });
        let (changed, filters, written) = Default::default();
        Self(Arc::new(Shared { time, changed, filters, written, chaos }))
    }

    pub(super) fn wake(&self) -> Wake {
        Wake(Arc::clone(&self.0.changed))
    }

    /// Reads again from the file which tables have a handler of their writes.
    pub(super) fn forget_tables(&self) {
        self.0.written.lock().clear();
    }

    /// Sets the filter of the object events of a queue.
    pub(crate) fn set_filter(&self, queue: EventQueue, filter: ObjectFilter) {
        self.0.filters.lock().insert(queue, filter);
    }

    /// Enqueues an object event inside the transaction of the caller, which wakes the queue when it is durable.
    pub(crate) fn enqueue_event(&self, transaction: &WriteTransaction, event: &ObjectEvent) -> Result<()> {
        let mut queues = subscribed_in(transaction, ResourceKind::Bucket, &event.bucket)?;
        let filters = self.0.filters.lock();
        queues.retain(|queue| filters.get(queue).is_none_or(|filter| filter.matches(event)));
        drop(filters);
        self.enqueue(transaction, &queues, [serde_json::to_vec(event)?.into()])
    }

    /// Enqueues the writes of a table inside the transaction of the caller. Returns what wakes the workers when it is dropped,
    /// after the transaction is durable; `None` where the writes are not handled.
    pub(crate) fn enqueue_writes(
        &self,
        transaction: &WriteTransaction,
        table: &str,
        keys: Vec<Key>,
    ) -> Result<Option<Wake>> {
        if keys.is_empty() || !self.handles_writes(transaction, table)? {
            return Ok(None);
        }
        self.enqueue(transaction, &[EventQueue::table(table)], write_messages(table, keys)?)?;
        Ok(Some(self.wake()))
    }

    /// A table is read once: every write of an app asks.
    fn handles_writes(&self, transaction: &WriteTransaction, table: &str) -> Result<bool> {
        let mut known = self.0.written.lock();
        if let Some(handled) = known.get(table) {
            return Ok(*handled);
        }
        let handled = !subscribed_in(transaction, ResourceKind::Table, table)?.is_empty();
        known.insert(table.to_owned(), handled);
        Ok(handled)
    }

    fn enqueue(
        &self,
        transaction: &WriteTransaction,
        queues: &[EventQueue],
        bodies: impl IntoIterator<Item = Bytes>,
    ) -> Result<()> {
        if queues.is_empty() {
            return Ok(());
        }
        let now_ms = self.0.time.now_ms();
        let encode = |body| {
            let record = Record::of_event(body, now_ms).encode()?;
            Ok(Encoded { ordering_key: None, delay_ms: 0, record })
        };
        let messages: Vec<_> = bodies.into_iter().map(encode).collect::<Result<_>>()?;
        append_in(transaction, queues, now_ms, &messages, self.0.chaos.as_deref()).map(drop)
    }
}
