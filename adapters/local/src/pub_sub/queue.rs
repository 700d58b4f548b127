//! A durable queue for each subscription, and for the events of buckets and the writes of tables.
//!
//! Every change is durable before it is reported. A message is leased and its delivery counted, both
//! durably, before it is delivered: a message in progress when the process ends is delivered again at the
//! next start, as its next attempt.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::pub_sub::{Message, MessageId, RawMessage};
use isobar_abstraction::driver::{Clock, ResourceKind, Settlement};
use isobar_abstraction::{EventQueue, Result};
use redb::WriteTransaction;
use tokio::sync::Notify;

use super::enqueue::{Enqueuer, Time};
use super::held::Held;
use super::lane::{
    BACKWARDS_MS, Encoded, Lane, LeasedRecord, append_in, follow_clock, note_time, subscribe_in, subscribed_in,
};
use super::record::{DeadLetterDetails, Record, id_of};
use crate::chaos::Chaos;
use crate::store::Store;

/// The queues of one data folder. Cheap to clone; it opens nothing before the first use.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    enqueuer: Enqueuer,
    held: Held,
}

/// A leased message, which must be settled or released.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) sequence: u64,
    pub(crate) message: Message<Bytes>,
}

impl From<LeasedRecord> for Leased {
    fn from(LeasedRecord { sequence, attempt, record }: LeasedRecord) -> Self {
        Self { sequence, message: record.into_message(sequence, attempt) }
    }
}

impl Queue {
    /// The queues in this store.
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, chaos: Option<Arc<Chaos>>) -> Self {
        Self(Arc::new(Inner { store, enqueuer: Enqueuer::new(clock, chaos), held: Held::default() }))
    }

    pub(super) fn held(&self) -> &Held {
        &self.0.held
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// For a write to take with it: unlike the queue, it does not keep the store open.
    pub(crate) fn enqueuer(&self) -> Enqueuer {
        self.0.enqueuer.clone()
    }

    pub(super) fn time(&self) -> Arc<Time> {
        Arc::clone(&self.0.enqueuer.0.time)
    }

    /// Sees to it that nothing waits for a time which a clock that was set back brings only in days.
    async fn follow_clock(&self, now_ms: u64) -> Result<()> {
        let time = self.time();
        if time.seen_ms.load(Ordering::Relaxed).saturating_sub(now_ms) > BACKWARDS_MS {
            time.seen_ms.store(now_ms, Ordering::Relaxed);
            self.write(move |transaction| follow_clock(transaction, time.now_ms())).await?;
        }
        Ok(())
    }

    /// Wakes all workers.
    pub(crate) fn wake(&self) {
        self.0.enqueuer.0.changed.notify_waiters();
    }

    /// Notified of every change.
    ///
    /// Lose none: make the [`notified`](Notify::notified) future and `enable` it, look at the queue,
    /// and only then wait.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.0.enqueuer.0.changed)
    }

    /// A write that wakes the workers when it is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let wake = self.0.enqueuer.wake();
        let (answer, _wake) = self.0.store.write(move |transaction| Ok((write(transaction)?, wake))).await?;
        Ok(answer)
    }

    /// Makes these the queues whose messages are kept, and has everything delivered again that a
    /// process had leased when it died. Call it once, before the first lease: it ends all leases.
    ///
    /// What waits in a queue that is not among them any more stays.
    pub(crate) async fn subscribe(&self, queues: Vec<EventQueue>) -> Result<()> {
        self.0.held.subscribed.store(true, Ordering::Relaxed);
        let enqueuer = self.enqueuer();
        let subscribe = move |transaction: &WriteTransaction| {
            enqueuer.forget_tables();
            subscribe_in(transaction, &queues, enqueuer.0.time.now_ms())
        };
        self.write(subscribe).await
    }

    /// Publishes messages to all subscriptions of a topic, all or none. Without a subscription they are dropped.
    pub(crate) async fn publish(&self, topic: &str, messages: Vec<RawMessage>) -> Result<Vec<MessageId>> {
        let (topic, time) = (topic.to_owned(), self.time());
        let now_ms = time.now_ms();
        // Encoded here and not in the transaction, which all others wait for.
        let encode = |raw: RawMessage| {
            let delay_ms = raw.due.map_or(0, |due| due_ms(due, Duration::ZERO).saturating_sub(now_ms));
            let record = Record::of_message(raw, now_ms);
            Ok(Encoded { ordering_key: record.ordering_key().map(str::to_owned), delay_ms, record: record.encode()? })
        };
        let messages: Vec<_> = messages.into_iter().map(encode).collect::<Result<_>>()?;
        let enqueuer = self.enqueuer();
        let publish = move |transaction: &WriteTransaction| {
            let chaos = enqueuer.0.chaos.as_deref();
            let queues = subscribed_in(transaction, ResourceKind::Topic, &topic)?;
            let first = append_in(transaction, &queues, time.now_ms(), &messages, chaos)?;
            Ok((first..).take(messages.len()).map(|id| MessageId::new(id_of(now_ms, id))).collect())
        };
        self.write(publish).await
    }

    /// Hands out up to `limit` messages that are due, in the order in which they are due.
    ///
    /// Of an ordering key only the first is handed out, until it is settled. If the future is
    /// dropped, the messages are released.
    pub(crate) async fn lease(&self, of: &EventQueue, limit: usize) -> Result<Vec<Leased>> {
        let now_ms = self.0.enqueuer.0.time.now_ms();
        self.follow_clock(now_ms).await?;
        // A look is free, a write is an fsync.
        if limit == 0 || self.next_due_ms(of)?.is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(Vec::new());
        }
        let (queue, of) = (self.clone(), of.clone());
        let lease = move |transaction: &WriteTransaction| {
            let now_ms = queue.0.enqueuer.0.time.now_ms();
            let leased = Lane::with(transaction, &of, |lane| lane.lease(now_ms, limit))?.unwrap_or_default();
            Ok(Handed { queue, of, leased: leased.into_iter().map(Leased::from).collect() })
        };
        Ok(self.0.store.write(lease).await?.take())
    }

    /// Applies the settlements. One whose lease is not there any more is passed over.
    pub(crate) async fn settle(&self, queue: &EventQueue, settled: Vec<(Leased, Settlement)>) -> Result<()> {
        let (queue, time) = (queue.clone(), self.time());
        let settle = move |transaction: &WriteTransaction| {
            let now = time.now();
            note_time(transaction, to_millis(now))?;
            Lane::with(transaction, &queue, |lane| {
                settled.into_iter().try_for_each(|(leased, settlement)| settle(lane, &leased, settlement, now))
            })
        };
        self.write(settle).await.map(drop)
    }

    /// Gives messages back that were not delivered: they are due as before, and the attempt does
    /// not count.
    pub(crate) async fn release(&self, queue: &EventQueue, leased: Vec<Leased>) -> Result<()> {
        let (queue, time) = (queue.clone(), self.time());
        let release = move |transaction: &WriteTransaction| {
            let now_ms = time.now_ms();
            Lane::with(transaction, &queue, |lane| leased.iter().try_for_each(|leased| release(lane, leased, now_ms)))
        };
        self.write(release).await.map(drop)
    }
}

/// Leased messages on their way to the caller.
struct Handed {
    queue: Queue,
    of: EventQueue,
    leased: Vec<Leased>,
}

impl Handed {
    fn take(mut self) -> Vec<Leased> {
        std::mem::take(&mut self.leased)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if !self.leased.is_empty() {
            // The first poll queues the write; no caller waits for its result.
            let leased = std::mem::take(&mut self.leased);
            let _ = self.queue.release(&self.of, leased).now_or_never();
        }
    }
}

fn settle(lane: &mut Lane<'_>, leased: &Leased, settlement: Settlement, now: SystemTime) -> Result<()> {
    let Leased { sequence, message } = leased;
    if lane.end_lease(*sequence, message.attempt)?.is_none() {
        return Ok(());
    }
    match settlement {
        Settlement::Done => lane.forget(*sequence, message.ordering_key.as_deref()),
        Settlement::Retry(after) => lane.put_back(*sequence, due_ms(now, after), message.attempt),
        Settlement::DeadLetter(reason) => die(lane, leased, reason, now),
    }
}

/// Moves a message whose lease ended to the dead letters.
fn die(lane: &mut Lane<'_>, leased: &Leased, reason: String, now: SystemTime) -> Result<()> {
    let Leased { sequence, message } = leased;
    let record = lane.record(*sequence)?;
    let id = Record::decode(&record)?.id(*sequence);
    lane.insert_dead_letter(id, &DeadLetterDetails::new(reason, message.attempt, now).encode(&record)?)?;
    lane.forget(*sequence, message.ordering_key.as_deref())
}

fn release(lane: &mut Lane<'_>, leased: &Leased, now_ms: u64) -> Result<()> {
    let Leased { sequence, message } = leased;
    match lane.end_lease(*sequence, message.attempt)? {
        Some(due_ms) => lane.put_back(*sequence, due_ms.min(now_ms), message.attempt.saturating_sub(1)),
        None => Ok(()),
    }
}

/// The first millisecond at which `after` has passed.
pub(super) fn due_ms(now: SystemTime, after: Duration) -> u64 {
    let almost = Duration::from_nanos(999_999);
    after.checked_add(almost).and_then(|after| now.checked_add(after)).map_or(u64::MAX, to_millis)
}
