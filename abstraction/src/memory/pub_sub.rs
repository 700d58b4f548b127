//! Pub/sub in memory: one queue for each subscription of a topic, and for the events of buckets and the writes of tables.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::Result;
use crate::clock::{Clock, ManualClock, later};
use crate::event_queue::EventQueue;
use crate::key_value::Key;
use crate::manifest::{Manifest, ObjectFilter};
use crate::outcome::Settlement;
use crate::pub_sub::backlog::{Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage};
use crate::pub_sub::dead_letter::DeadLetterDetails;
use crate::pub_sub::{DeadLetter, Message, MessageId, PubSub, RawMessage};
use crate::resource::ResourceKind;
use crate::{Error, ObjectEvent, WriteEvent};

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
            self.queues.entry(queue).or_default().waiting.insert(self.sequence, Waiting::new(message.clone(), due));
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
    dead: BTreeMap<u64, Dead>,
}

#[derive(Debug, Clone)]
struct Waiting {
    message: Message<Bytes>,
    due: SystemTime,
    leased: bool,
    /// The end of a lease by a tool.
    held: Option<SystemTime>,
}

impl Waiting {
    fn new(message: Message<Bytes>, due: SystemTime) -> Self {
        Self { message, due, leased: false, held: None }
    }
}

#[derive(Debug, Clone)]
struct Dead {
    details: DeadLetterDetails,
    message: Message<Bytes>,
    held: Option<SystemTime>,
}

fn is_free(held: Option<SystemTime>, now: SystemTime) -> bool {
    held.is_none_or(|until| until <= now)
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
            first && waiting.due <= now && is_free(waiting.held, now)
        });
        let lease = |(sequence, waiting): (&u64, &mut Waiting)| {
            waiting.leased = true;
            Leased { sequence: *sequence, message: waiting.message.clone() }
        };
        due.take(limit).map(lease).collect()
    }

    pub(crate) fn settle(&self, queue: &EventQueue, leased: Leased, settlement: Settlement, now: SystemTime) {
        let mut state = self.state.lock();
        let State { sequence: last, queues, .. } = &mut *state;
        let Some(queue) = queues.get_mut(queue) else { return };
        let Leased { sequence, mut message } = leased;
        match settlement {
            Settlement::Done => drop(queue.waiting.remove(&sequence)),
            Settlement::Retry(after) => {
                message.attempt += 1;
                queue.waiting.insert(sequence, Waiting::new(message, later(now, after)));
            }
            Settlement::DeadLetter(reason) => {
                queue.waiting.remove(&sequence);
                // Not cut, as `DeadLetterDetails::new` does: nothing is too large here.
                let details =
                    DeadLetterDetails { attempts: message.attempt, reason, died_at: now, source: String::new() };
                *last += 1;
                queue.dead.insert(*last, Dead { details, message, held: None });
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
        let dead = queue.into_iter().flat_map(|queue| queue.dead.values());
        dead.map(|dead| dead.details.clone().into_dead_letter(dead.message.clone())).collect()
    }

    /// Moves all dead letters back to the queue, with attempt 1. Returns their number.
    pub(crate) fn redrive(&self, queue: &EventQueue, now: SystemTime) -> usize {
        let mut state = self.state.lock();
        let State { sequence, queues, .. } = &mut *state;
        let Some(queue) = queues.get_mut(queue) else { return 0 };
        let dead = std::mem::take(&mut queue.dead);
        let count = dead.len();
        for Dead { mut message, .. } in dead.into_values() {
            *sequence += 1;
            message.attempt = 1;
            queue.waiting.insert(*sequence, Waiting::new(message, now));
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

/// The backlog of one queue in memory. Its leases end by the clock.
#[derive(Debug)]
pub(crate) struct MemoryBacklog {
    queue: EventQueue,
    clock: ManualClock,
    queues: Arc<Queues>,
}

impl MemoryBacklog {
    pub(crate) fn new(queue: &EventQueue, clock: ManualClock, queues: Arc<Queues>) -> Self {
        Self { queue: queue.clone(), clock, queues }
    }

    /// Changes the messages with these receipts.
    fn each(&self, receipts: Vec<String>, change: impl Fn(&mut Queue, u64) -> bool) -> Vec<Result<()>> {
        let mut state = self.queues.state.lock();
        let queue = state.queues.entry(self.queue.clone()).or_default();
        let gone = || Error::not_found("the message is not leased any more");
        let change =
            |receipt: String| receipt.parse().ok().filter(|place| change(queue, *place)).map(drop).ok_or_else(gone);
        receipts.into_iter().map(change).collect()
    }
}

#[async_trait]
impl Backlog for MemoryBacklog {
    async fn count(&self) -> Result<BacklogCount> {
        let (state, now) = (self.queues.state.lock(), self.clock.now());
        let Some(queue) = state.queues.get(&self.queue) else { return Ok(ZERO) };
        let mut count = BacklogCount { dead: Some(queue.dead.len() as u64), ..ZERO };
        for waiting in queue.waiting.values() {
            let place = match waiting.due <= now {
                _ if !is_free(waiting.held, now) || waiting.leased => &mut count.leased,
                true => &mut count.waiting,
                false => &mut count.delayed,
            };
            *place = place.map(|count| count + 1);
        }
        Ok(count)
    }

    async fn lease(&self, part: BacklogPart, limit: usize, lease: Duration) -> Result<Vec<LeasedMessage>> {
        let now = self.clock.now();
        let until = Some(later(now, lease));
        if part == BacklogPart::Waiting {
            let leased = self.queues.lease(&self.queue, now, limit);
            let mut state = self.queues.state.lock();
            let queue = state.queues.entry(self.queue.clone()).or_default();
            let hold = |Leased { sequence, message }| {
                let waiting = queue.waiting.get_mut(&sequence)?;
                (waiting.held, waiting.leased) = (until, false);
                Some(LeasedMessage::new(BacklogMessage::new(message), sequence.to_string()))
            };
            return Ok(leased.into_iter().filter_map(hold).collect());
        }
        let mut state = self.queues.state.lock();
        let queue = state.queues.entry(self.queue.clone()).or_default();
        let free = queue.dead.iter_mut().filter(|(_, dead)| is_free(dead.held, now)).take(limit);
        let hold = |(place, dead): (&u64, &mut Dead)| {
            dead.held = until;
            let message = BacklogMessage::new(dead.message.clone()).with_dead(dead.details.clone());
            LeasedMessage::new(message, place.to_string())
        };
        Ok(free.map(hold).collect())
    }

    async fn acknowledge(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        self.each(receipts, |queue, place| match part {
            BacklogPart::Waiting => queue.waiting.remove(&place).is_some(),
            BacklogPart::Dead => queue.dead.remove(&place).is_some(),
        })
    }

    async fn release(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        self.each(receipts, |queue, place| {
            let held = match part {
                BacklogPart::Waiting => queue.waiting.get_mut(&place).map(|waiting| &mut waiting.held),
                BacklogPart::Dead => queue.dead.get_mut(&place).map(|dead| &mut dead.held),
            };
            held.map(|held| *held = None).is_some()
        })
    }

    async fn send(&self, part: BacklogPart, messages: Vec<BacklogMessage>) -> Vec<Result<()>> {
        let (mut state, now) = (self.queues.state.lock(), self.clock.now());
        let mut send = |sent: BacklogMessage| {
            let State { sequence, queues, .. } = &mut *state;
            *sequence += 1;
            let (queue, details) = (queues.entry(self.queue.clone()).or_default(), sent.details());
            let BacklogMessage { message, due, .. } = sent;
            match part {
                BacklogPart::Waiting => {
                    queue.waiting.insert(*sequence, Waiting::new(message, due.unwrap_or(now)));
                }
                BacklogPart::Dead => {
                    queue.dead.insert(*sequence, Dead { details, message, held: None });
                }
            }
            Ok(())
        };
        messages.into_iter().map(&mut send).collect()
    }
}

/// The count of an empty queue.
const ZERO: BacklogCount =
    BacklogCount { waiting: Some(0), delayed: Some(0), leased: Some(0), dead: Some(0), unreachable: 0 };
