//! Pub/sub in memory: one queue for each topic, and for the events of each bucket.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::Result;
use crate::clock::{Clock, ManualClock, later};
use crate::outcome::Settlement;
use crate::pub_sub::{DeadLetter, Message, MessageId, PubSub, RawMessage};
use crate::resource::ResourceKind;

/// The source of events: a topic or a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    kind: ResourceKind,
    name: String,
}

impl Source {
    pub(crate) fn new(kind: ResourceKind, name: &str) -> Self {
        Self { kind, name: name.to_owned() }
    }
}

/// All queues of one provider.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    queues: HashMap<Source, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    // In the order of publishing, which is the order of delivery within one ordering key.
    waiting: BTreeMap<u64, Waiting>,
    dead: Vec<(DeadLetter, Message<Bytes>)>,
}

#[derive(Debug, Clone)]
struct Waiting {
    message: Message<Bytes>,
    due: SystemTime,
}

/// A message that is being delivered and must be settled.
#[derive(Debug)]
pub(crate) struct Leased {
    sequence: u64,
    pub(crate) message: Message<Bytes>,
}

impl Queues {
    pub(crate) fn push(
        &self,
        source: &Source,
        now: SystemTime,
        message: impl FnOnce(MessageId) -> Message<Bytes>,
    ) -> MessageId {
        let mut state = self.state.lock();
        state.sequence += 1;
        let sequence = state.sequence;
        let id = MessageId::new(sequence.to_string());
        let waiting = Waiting { message: message(id.clone()), due: now };
        state.queues.entry(source.clone()).or_default().waiting.insert(sequence, waiting);
        id
    }

    /// Up to `limit` messages that are due, of each ordering key only the oldest one.
    pub(crate) fn lease(&self, source: &Source, now: SystemTime, limit: usize) -> Vec<Leased> {
        let mut state = self.state.lock();
        let Some(queue) = state.queues.get_mut(source) else { return Vec::new() };
        let mut keys = HashSet::new();
        let due = queue.waiting.iter().filter(|(_, waiting)| {
            let first = waiting.message.ordering_key.as_ref().is_none_or(|key| keys.insert(key.clone()));
            first && waiting.due <= now
        });
        let due = due.take(limit);
        due.map(|(sequence, waiting)| Leased { sequence: *sequence, message: waiting.message.clone() }).collect()
    }

    pub(crate) fn settle(&self, source: &Source, leased: Leased, settlement: Settlement, now: SystemTime) {
        let mut state = self.state.lock();
        let Some(queue) = state.queues.get_mut(source) else { return };
        let Leased { sequence, mut message } = leased;
        match settlement {
            Settlement::Done => drop(queue.waiting.remove(&sequence)),
            Settlement::Retry(after) => {
                message.attempt += 1;
                queue.waiting.insert(sequence, Waiting { message, due: later(now, after) });
            }
            Settlement::DeadLetter(reason) => {
                queue.waiting.remove(&sequence);
                queue.dead.push((DeadLetter::new(&message, reason, now), message));
            }
        }
    }

    pub(crate) fn waiting(&self, source: &Source) -> Vec<Message<Bytes>> {
        let state = self.state.lock();
        let queue = state.queues.get(source);
        queue.into_iter().flat_map(|queue| queue.waiting.values().map(|waiting| waiting.message.clone())).collect()
    }

    pub(crate) fn dead_letters(&self, source: &Source) -> Vec<DeadLetter> {
        let state = self.state.lock();
        let queue = state.queues.get(source);
        queue.into_iter().flat_map(|queue| queue.dead.iter().map(|(dead_letter, _)| dead_letter.clone())).collect()
    }

    /// Moves all dead letters back to the queue, with attempt 1. Returns their number.
    pub(crate) fn redrive(&self, source: &Source, now: SystemTime) -> usize {
        let mut state = self.state.lock();
        let State { sequence, queues } = &mut *state;
        let Some(queue) = queues.get_mut(source) else { return 0 };
        let dead = std::mem::take(&mut queue.dead);
        let count = dead.len();
        for (_, mut message) in dead {
            *sequence += 1;
            message.attempt = 1;
            queue.waiting.insert(*sequence, Waiting { message, due: now });
        }
        count
    }
}

/// Pub/sub in memory.
#[derive(Debug)]
pub(crate) struct MemoryPubSub {
    source: Source,
    clock: ManualClock,
    queues: Arc<Queues>,
}

impl MemoryPubSub {
    pub(crate) fn new(source: Source, clock: ManualClock, queues: Arc<Queues>) -> Self {
        Self { source, clock, queues }
    }
}

#[async_trait]
impl PubSub for MemoryPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.clock.now();
        let push = |raw: RawMessage| Ok(self.queues.push(&self.source, now, |id| raw.into_message(id, now)));
        messages.into_iter().map(push).collect()
    }
}
