//! [`Backlog`]: the waiting messages and the dead letters of one queue, for tools.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use super::dead_letter::DeadLetterDetails;
use super::{DeadLetter, Message, MessageId};
use crate::{Error, Result};

/// The [form](Backlog::form) of bodies that every provider delivers.
pub const PORTABLE_FORM: &str = "isobar";

/// The time for which [`dead_letters`], [`redrive`] and [`discard`] lease a dead letter.
const LEASE: Duration = Duration::from_secs(300);

/// The most dead letters that they lease in one call.
const BATCH: usize = 100;

/// One of the two parts of a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BacklogPart {
    /// The messages that are not handled yet.
    Waiting,
    /// The dead letters.
    Dead,
}

/// The waiting messages and the dead letters of the queue of one trigger: for a tool that moves or inspects them, on the
/// machine of a person. An app never uses it, and its permissions do not allow it.
///
/// Delivery stays at least once, and no message is lost: a lease ends by itself, and only
/// [`acknowledge`](Self::acknowledge) deletes. A host on the same queue may receive what is not leased, and what it leased
/// before. Stop it first with [`pause`](Self::pause), so that nothing is handled twice.
///
/// Implementers must:
/// - lease a message of an ordering key only while no earlier one of the key is leased by another call or waits for its time;
///   within one lease, messages of a key are in their order;
/// - return body, attributes, ordering key, trace parent and id bit for bit, also of a body that is not text; a message that
///   they cannot read is returned as the service stores it;
/// - keep the due time of a message that is leased before it. A message that the service hides until then cannot be leased;
///   [`count`](Self::count) contains it;
/// - keep the number of attempts: `attempt` of a leased message is that of a delivery in place of the lease. A message that is
///   released may have one attempt more, where the service counts leases;
/// - send to this queue only, never to others of the topic. Where the service has no queue of each subscription, they mark the
///   message, and the hosts of other subscriptions acknowledge it without a call;
/// - store a message durably before it is `Ok`, in the order of its ordering key: after one that failed, later ones of its key
///   fail too;
/// - return one result for each receipt and each message, in their order.
///
/// | | SQS | Service Bus | Storage Queues | Pub/Sub | local, memory |
/// |---|---|---|---|---|---|
/// | lease | up to 12 hours | the lock of the entity, often 1 minute | up to 7 days | up to 10 minutes | as asked |
/// | delayed, not leased | until the host's time | until the due time | until the due time | leased with its due time | until the due time |
/// | due time of a sent one | up to 15 minutes, later ones earlier | any | up to 7 days | up to the longest retry | any |
/// | ordering key | one batch in order | **not leased**: REST has no sessions | none exist | in order | one at a time |
/// | one subscription of several | a queue each | the property `isobar-for` | one only | the attribute `isobar-for` | a queue each |
/// | count | all | needs the claim `Manage` | one sum, with the hidden ones | none | all |
/// | pause | event source mappings | `Unsupported` | `Unsupported` | the push configuration | nothing to do |
#[async_trait]
pub trait Backlog: fmt::Debug + Send + Sync + 'static {
    /// The form of the bodies: [`PORTABLE_FORM`], or the name of the notifications of a bucket's service, which only that
    /// service's host reads. Send messages only to a backlog of the same form.
    fn form(&self) -> &'static str {
        PORTABLE_FORM
    }

    /// Counts the messages, approximately.
    async fn count(&self) -> Result<BacklogCount>;

    /// Leases up to `limit` messages: no other call, and no host, receives them for about `lease`, or for the longest time that
    /// the service allows. Empty when none can be leased now. May return fewer than there are.
    async fn lease(&self, part: BacklogPart, limit: usize, lease: Duration) -> Result<Vec<LeasedMessage>>;

    /// Deletes leased messages. After the end of a lease it may fail, and the message stays.
    async fn acknowledge(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>>;

    /// Ends leases: the messages can be received again.
    async fn release(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>>;

    /// Adds messages to this queue, as waiting or as dead letters. A dead letter without details has no reason.
    async fn send(&self, part: BacklogPart, messages: Vec<BacklogMessage>) -> Vec<Result<()>>;

    /// Stops the delivery of this queue to the deployed app, and returns when no further message is delivered. The result is
    /// for [`resume`](Self::resume): store it before anything else. It is empty where there is nothing to resume.
    ///
    /// Without this method nothing delivers but a process that the caller stops itself.
    async fn pause(&self) -> Result<String> {
        Ok(String::new())
    }

    /// Starts the delivery again that [`pause`](Self::pause) stopped.
    async fn resume(&self, paused: &str) -> Result<()> {
        let _ = paused;
        Ok(())
    }
}

/// The number of messages of a queue. A service that does not state a number has `None`, and its messages are in another one
/// or in none: an early message of SQS counts as leased, and `waiting` of a Storage Queue is the sum of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BacklogCount {
    /// Messages that can be leased now.
    pub waiting: Option<u64>,
    /// Messages that cannot be leased yet.
    pub delayed: Option<u64>,
    /// Messages that are leased, also by a host.
    pub leased: Option<u64>,
    /// Dead letters.
    pub dead: Option<u64>,
    /// Messages that [`Backlog::lease`] never returns: those of Service Bus with an ordering key, which only the app can handle,
    /// and those that Service Bus itself moved to a dead-letter queue of its own.
    pub unreachable: u64,
}

impl BacklogCount {
    /// A count of a service that states nothing.
    pub const UNKNOWN: Self = Self { waiting: None, delayed: None, leased: None, dead: None, unreachable: 0 };
}

/// A message of a backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BacklogMessage {
    /// The message, at the attempt that its next delivery is.
    pub message: Message<Bytes>,
    /// The earliest time of its delivery; `None` for none.
    pub due: Option<SystemTime>,
    /// The details of a dead letter; `None` for a waiting message.
    pub dead: Option<DeadLetterDetails>,
}

impl BacklogMessage {
    /// A waiting message without a delay.
    pub fn new(message: Message<Bytes>) -> Self {
        Self { message, due: None, dead: None }
    }

    /// Sets the earliest time of delivery.
    #[must_use]
    pub fn with_due(mut self, due: impl Into<Option<SystemTime>>) -> Self {
        self.due = due.into();
        self
    }

    /// Sets the details of a dead letter.
    #[must_use]
    pub fn with_dead(mut self, dead: impl Into<Option<DeadLetterDetails>>) -> Self {
        self.dead = dead.into();
        self
    }

    /// The message as a waiting one at its first attempt.
    #[must_use]
    pub fn revived(mut self) -> Self {
        self.message.attempt = 1;
        Self::new(self.message)
    }

    /// For adapters: the number of attempts so far.
    pub fn attempts(&self) -> u32 {
        self.message.attempt.saturating_sub(1)
    }

    /// For adapters: the details of a dead letter; without any they say that no reason is known.
    pub fn details(&self) -> DeadLetterDetails {
        let Message { attempt, published_at, .. } = self.message;
        self.dead.clone().unwrap_or_else(|| DeadLetterDetails::new(attempt, "no reason is known", published_at, ""))
    }

    /// The dead letter of this message and its details.
    pub fn into_dead_letter(self) -> DeadLetter {
        self.details().into_dead_letter(self.message)
    }
}

/// A message that is leased.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeasedMessage {
    /// The message.
    pub message: BacklogMessage,
    /// The name of the lease, for [`Backlog::acknowledge`] and [`Backlog::release`] of the same queue.
    pub receipt: String,
}

impl LeasedMessage {
    /// A message with the name of its lease.
    pub fn new(message: BacklogMessage, receipt: impl Into<String>) -> Self {
        Self { message, receipt: receipt.into() }
    }
}

/// Reads up to `limit` dead letters, and leaves them where they are. A service that counts leases counts this as one.
pub async fn dead_letters(backlog: &dyn Backlog, limit: usize) -> Result<Vec<BacklogMessage>> {
    let mut sweep = Sweep::new(backlog);
    let mut listed = Vec::new();
    let listed = loop {
        match sweep.next(limit - listed.len()).await {
            Ok(leased) if leased.is_empty() => break Ok(listed),
            Ok(leased) => listed.extend(leased.into_iter().map(|leased| leased.message)),
            Err(error) => break Err(error),
        }
    };
    sweep.end().await;
    listed
}

/// Puts dead letters back to the waiting messages, at their first attempt: those with these ids, or all. One that dies again
/// meanwhile stays. Returns how many.
///
/// A dead letter is deleted when its message is stored. Errors: the first of the backlog; what was moved before stays moved.
pub async fn redrive(backlog: &dyn Backlog, ids: Option<&BTreeSet<String>>) -> Result<usize> {
    remove(backlog, ids, true).await
}

/// Deletes dead letters: those with these ids, or all. Returns how many. Errors: as of [`redrive`].
pub async fn discard(backlog: &dyn Backlog, ids: Option<&BTreeSet<String>>) -> Result<usize> {
    remove(backlog, ids, false).await
}

async fn remove(backlog: &dyn Backlog, ids: Option<&BTreeSet<String>>, revive: bool) -> Result<usize> {
    let mut sweep = Sweep::new(backlog);
    let mut count = 0;
    let removed = loop {
        let leased = match sweep.next(usize::MAX).await {
            Ok(leased) if leased.is_empty() => break Ok(count),
            Ok(leased) => leased,
            Err(error) => break Err(error),
        };
        let is_chosen = |it: &LeasedMessage| ids.is_none_or(|ids| ids.contains(it.message.message.id.as_str()));
        let chosen = leased.into_iter().filter(is_chosen).collect();
        match sweep.remove(chosen, revive).await {
            Ok(removed) => count += removed,
            Err(error) => break Err(error),
        }
    };
    sweep.end().await;
    removed
}

/// A pass over the dead letters of a queue.
struct Sweep<'a> {
    backlog: &'a dyn Backlog,
    /// The receipts to release at the end.
    held: HashSet<String>,
    /// When each message died, as far as this pass is concerned.
    died: HashMap<MessageId, SystemTime>,
    /// The dead letters that stay, which may be leased again where a lease is short.
    seen: HashSet<(MessageId, SystemTime)>,
    /// The messages that this pass has put back or deleted. One of them that is dead again stays, also where the service states no
    /// time.
    removed: HashSet<MessageId>,
}

impl<'a> Sweep<'a> {
    fn new(backlog: &'a dyn Backlog) -> Self {
        Self { backlog, held: HashSet::new(), died: HashMap::new(), seen: HashSet::new(), removed: HashSet::new() }
    }

    /// Leases the next ones; none at the end.
    async fn next(&mut self, limit: usize) -> Result<Vec<LeasedMessage>> {
        loop {
            let mut leased = self.backlog.lease(BacklogPart::Dead, limit.min(BATCH), LEASE).await?;
            self.held.extend(leased.iter().map(|leased| leased.receipt.clone()));
            let count = self.seen.len();
            leased.retain(|leased| {
                let (id, died_at) = (leased.message.message.id.clone(), leased.message.details().died_at);
                // A message that died again meanwhile stays, and a second dead letter with the same details.
                let is_of_then = *self.died.entry(id.clone()).or_insert(died_at) >= died_at;
                let is_removed = self.removed.contains(&id);
                self.seen.insert((id, died_at)) && is_of_then && !is_removed
            });
            // Nothing new was leased, or something that may stay.
            if self.seen.len() == count || !leased.is_empty() {
                return Ok(leased);
            }
        }
    }

    async fn remove(&mut self, mut leased: Vec<LeasedMessage>, revive: bool) -> Result<usize> {
        let mut failed = Ok(());
        if revive {
            let messages = leased.iter().map(|it| it.message.clone().revived()).collect();
            let mut sent = self.backlog.send(BacklogPart::Waiting, messages).await.into_iter();
            leased.retain(|_| sent.next().is_some_and(|sent| sent.map_err(|error| failed = Err(error)).is_ok()));
        }
        self.removed.extend(leased.iter().map(|it| it.message.message.id.clone()));
        let receipts: Vec<String> = leased.iter().map(|it| it.receipt.clone()).collect();
        for (receipt, deleted) in
            receipts.iter().zip(self.backlog.acknowledge(BacklogPart::Dead, receipts.clone()).await)
        {
            match deleted {
                Ok(()) => drop(self.held.remove(receipt)),
                Err(error) => failed = Err(error),
            }
        }
        failed.map(|()| receipts.len())
    }

    /// Releases what stays. What is not released can be leased again when its lease ends.
    async fn end(self) {
        self.backlog.release(BacklogPart::Dead, self.held.into_iter().collect()).await;
    }
}

/// For adapters: an error for each of `count` messages or receipts.
pub fn each_failed(error: &Error, count: usize) -> Vec<Result<()>> {
    (0..count).map(|_| Err(error.clone())).collect()
}
