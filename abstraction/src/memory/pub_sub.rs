//! Pub/sub in memory: one queue for each subscription of a topic, and for the events of buckets and the writes of tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::Result;
use crate::clock::{Clock, ManualClock, later};
use crate::event_queue::EventQueue;
use crate::key_value::Key;
use crate::manifest::{Manifest, ObjectFilter};
use crate::outcome::Settlement;
use crate::pub_sub::{DeadLetter, Message, MessageId, PubSub, RawMessage};
use crate::resource::ResourceKind;
use crate::{ObjectEvent, WriteEvent};

/// All queues of one provider.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    queues: HashMap<EventQueue, Queue>,
    /// The queues that apps handle, with the filters of object events.
    handled: BTreeMap<EventQueue, Option<ObjectFilter>>,
}

impl State {
    /// The handled queues of a source.
    fn handled(&self, kind: ResourceKind, source: &str) -> Vec<(EventQueue, Option<ObjectFilter>)> {
        let of_source = |(queue, _): &(&EventQueue, _)| queue.kind() == kind && queue.source() == source;
        let handled = self.handled.iter().filter(of_source);
        handled.map(|(queue, filter)| (queue.clone(), filter.clone())).collect()
    }

    fn push(&mut self, queues: Vec<EventQueue>, due: SystemTime, message: &Message<Bytes>) {
        for queue in queues {
            let waiting = Waiting { message: message.clone(), due, leased: false };
            self.queues.entry(queue).or_default().waiting.insert(self.sequence, waiting);
        }
    }

    fn next_id(&mut self) -> MessageId {
        self.sequence += 1;
        MessageId::new(self.sequence.to_string())
    }
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
    leased: bool,
}

/// A message that is being delivered and must be settled.
#[derive(Debug)]
pub(crate) struct Leased {
    sequence: u64,
    pub(crate) message: Message<Bytes>,
}

impl Queues {
    /// Adds the queues of an app: each receives the events from now on.
    pub(crate) fn handle(&self, manifest: &Manifest) {
        let mut state = self.state.lock();
        state.handled.extend(manifest.queues().map(|(queue, _)| (queue, None)));
        let filters = manifest.objects().map(|trigger| (trigger.queue(), Some(trigger.filter.clone())));
        state.handled.extend(filters);
    }

    /// Adds a message to the queues of a topic; without any, to the queue `default`, where a test can see it.
    fn publish(&self, topic: &str, raw: RawMessage, now: SystemTime) -> MessageId {
        let mut state = self.state.lock();
        let handled = state.handled(ResourceKind::Topic, topic);
        let mut queues: Vec<_> = handled.into_iter().map(|(queue, _)| queue).collect();
        if queues.is_empty() {
            queues.push(EventQueue::topic(topic));
        }
        let (id, due) = (state.next_id(), raw.due.unwrap_or(now));
        state.push(queues, due, &raw.into_message(id.clone(), now));
        id
    }

    /// Adds an object event to the queues of its bucket whose filters accept it; without any queue, to the queue `default`.
    pub(crate) fn push_object_event(&self, event: &ObjectEvent, now: SystemTime) {
        let mut state = self.state.lock();
        let handled = state.handled(ResourceKind::Bucket, &event.bucket);
        let queues = if handled.is_empty() {
            vec![EventQueue::bucket(&event.bucket)]
        } else {
            let accepted = |(queue, filter): (EventQueue, Option<ObjectFilter>)| {
                filter.is_none_or(|filter| filter.matches(event)).then_some(queue)
            };
            handled.into_iter().filter_map(accepted).collect()
        };
        let id = state.next_id();
        state.push(queues, now, &Message::new(id, serde_json::to_vec(event).unwrap_or_default(), now));
    }

    /// Adds the write of an item to the queue of its table, if an app handles it. As on the clouds, several writes that wait
    /// are one event: an app that counts them must fail its tests.
    pub(crate) fn push_write(&self, table: &str, key: &Key, now: SystemTime) {
        let mut state = self.state.lock();
        let Some((queue, _)) = state.handled(ResourceKind::Table, table).pop() else { return };
        let body = Bytes::from(serde_json::to_vec(&WriteEvent::new(table, key)).unwrap_or_default());
        let is_same = |it: &Waiting| !it.leased && it.message.attempt == 1 && it.message.body == body;
        if state.queues.get(&queue).is_none_or(|queue| !queue.waiting.values().any(is_same)) {
            let id = state.next_id();
            state.push(vec![queue], now, &Message::new(id, body, now));
        }
    }

    /// Up to `limit` messages that are due, of each ordering key only the oldest one.
    pub(crate) fn lease(&self, queue: &EventQueue, now: SystemTime, limit: usize) -> Vec<Leased> {
        let mut state = self.state.lock();
        let Some(queue) = state.queues.get_mut(queue) else { return Vec::new() };
        let mut keys = HashSet::new();
        let due = queue.waiting.iter_mut().filter(|(_, waiting)| {
            let first = waiting.message.ordering_key.as_ref().is_none_or(|key| keys.insert(key.clone()));
            first && waiting.due <= now
        });
        let lease = |(sequence, waiting): (&u64, &mut Waiting)| {
            waiting.leased = true;
            Leased { sequence: *sequence, message: waiting.message.clone() }
        };
        due.take(limit).map(lease).collect()
    }

    pub(crate) fn settle(&self, queue: &EventQueue, leased: Leased, settlement: Settlement, now: SystemTime) {
        let mut state = self.state.lock();
        let Some(queue) = state.queues.get_mut(queue) else { return };
        let Leased { sequence, mut message } = leased;
        match settlement {
            Settlement::Done => drop(queue.waiting.remove(&sequence)),
            Settlement::Retry(after) => {
                message.attempt += 1;
                queue.waiting.insert(sequence, Waiting { message, due: later(now, after), leased: false });
            }
            Settlement::DeadLetter(reason) => {
                queue.waiting.remove(&sequence);
                queue.dead.push((DeadLetter::new(&message, reason, now), message));
            }
        }
    }

    pub(crate) fn waiting(&self, queue: &EventQueue) -> Vec<Message<Bytes>> {
        let state = self.state.lock();
        let queue = state.queues.get(queue);
        queue.into_iter().flat_map(|queue| queue.waiting.values().map(|waiting| waiting.message.clone())).collect()
    }

    pub(crate) fn dead_letters(&self, queue: &EventQueue) -> Vec<DeadLetter> {
        let state = self.state.lock();
        let queue = state.queues.get(queue);
        queue.into_iter().flat_map(|queue| queue.dead.iter().map(|(dead_letter, _)| dead_letter.clone())).collect()
    }

    /// Moves all dead letters back to the queue, with attempt 1. Returns their number.
    pub(crate) fn redrive(&self, queue: &EventQueue, now: SystemTime) -> usize {
        let mut state = self.state.lock();
        let State { sequence, queues, .. } = &mut *state;
        let Some(queue) = queues.get_mut(queue) else { return 0 };
        let dead = std::mem::take(&mut queue.dead);
        let count = dead.len();
        for (_, mut message) in dead {
            *sequence += 1;
            message.attempt = 1;
            queue.waiting.insert(*sequence, Waiting { message, due: now, leased: false });
        }
        count
    }
}

/// Pub/sub in memory.
#[derive(Debug)]
pub(crate) struct MemoryPubSub {
    topic: String,
    clock: ManualClock,
    queues: Arc<Queues>,
}

impl MemoryPubSub {
    pub(crate) fn new(topic: &str, clock: ManualClock, queues: Arc<Queues>) -> Self {
        Self { topic: topic.to_owned(), clock, queues }
    }
}

#[async_trait]
impl PubSub for MemoryPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.clock.now();
        messages.into_iter().map(|raw| Ok(self.queues.publish(&self.topic, raw, now))).collect()
    }
}
