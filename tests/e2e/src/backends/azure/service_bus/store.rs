//! The messages of the double.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// How long a message is locked: the service's default.
const LOCK: Duration = Duration::from_secs(60);

/// Deliveries before the service gives a message up: its default.
const MOST_DELIVERIES: u32 = 10;

/// What the path of the messages that were given up ends with.
const GIVEN_UP: &str = "/$deadletterqueue";

/// Does a subscription want sessions?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// It takes all messages, and knows no order.
    None,
    /// It takes none without a session, and hands out one of each at a time.
    Required,
}

/// A message as it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The queue or the subscription.
    pub path: String,
    /// The body.
    pub body: Bytes,
    /// User properties.
    pub properties: BTreeMap<String, String>,
    /// `MessageId`.
    pub id: String,
    /// `SessionId`.
    pub session: Option<String>,
    /// `SequenceNumber`.
    pub sequence: u64,
    /// `DeliveryCount`, this delivery included.
    pub count: u32,
    /// `EnqueuedTimeUtc`.
    pub enqueued: SystemTime,
    /// `LockToken`; empty where it was only looked at.
    pub lock: String,
}

/// A message that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) body: Bytes,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) id: String,
    pub(super) session: Option<String>,
    pub(super) scheduled: Option<SystemTime>,
}

#[derive(Debug)]
struct Held {
    delivery: Delivery,
    /// Not to be seen before: scheduled, locked, or put off.
    hidden_until: SystemTime,
    /// Is its session free to go on without it? Only where it has not arrived yet.
    scheduled: bool,
}

#[derive(Debug, Default)]
struct Queue {
    sessions: bool,
    messages: Vec<Held>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    /// By lower-case path, as the service takes any case.
    queues: BTreeMap<String, Queue>,
    topics: HashSet<String>,
    sequence: u64,
}

impl Store {
    pub(super) fn create_queue(&mut self, path: &str) {
        let path = path.to_lowercase();
        self.queues.entry(format!("{path}{GIVEN_UP}")).or_default();
        self.queues.entry(path).or_default();
    }

    pub(super) fn create_topic(&mut self, name: &str) {
        self.topics.insert(name.to_lowercase());
    }

    pub(super) fn create_subscription(&mut self, topic: &str, name: &str, sessions: Sessions) {
        self.create_topic(topic);
        let path = format!("{topic}/subscriptions/{name}").to_lowercase();
        self.create_queue(&path);
        if let Some(queue) = self.queues.get_mut(&path) {
            queue.sessions = sessions == Sessions::Required;
        }
    }

    /// Is there a queue or a subscription?
    pub(super) fn wants_sessions(&self, path: &str) -> Option<bool> {
        self.queues.get(&path.to_lowercase()).map(|queue| queue.sessions)
    }

    /// Stores messages, all or none. `false` where there is no such queue or topic.
    pub(super) fn send(&mut self, entity: &str, messages: &[Sent], now: SystemTime) -> bool {
        let entity = entity.to_lowercase();
        let own = |path: &String| path.starts_with(&format!("{entity}/subscriptions/")) && !path.ends_with(GIVEN_UP);
        let paths: Vec<String> = match self.topics.contains(&entity) {
            true => self.queues.keys().filter(|path| own(path)).cloned().collect(),
            false if self.queues.contains_key(&entity) => vec![entity],
            false => return false,
        };
        for message in messages {
            for path in &paths {
                self.put(path, message, now);
            }
        }
        true
    }

    fn put(&mut self, path: &str, message: &Sent, now: SystemTime) {
        let subscription = path.split_once("/subscriptions/").map(|(_, name)| name);
        let meant = message.properties.get("isobar-for");
        if let (Some(subscription), Some(meant)) = (subscription, meant)
            && !meant.eq_ignore_ascii_case(subscription)
        {
            return;
        }
        self.sequence += 1;
        // A subscription with sessions cannot deliver a message that has none.
        let lost = message.session.is_none() && self.queues.get(path).is_some_and(|queue| queue.sessions);
        let path = if lost { format!("{path}{GIVEN_UP}") } else { path.to_owned() };
        let enqueued = message.scheduled.filter(|at| *at > now);
        let delivery = Delivery {
            path: path.clone(),
            body: message.body.clone(),
            properties: message.properties.clone(),
            id: message.id.clone(),
            session: message.session.clone(),
            sequence: self.sequence,
            count: 0,
            enqueued: enqueued.unwrap_or(now),
            lock: String::new(),
        };
        let held = Held { delivery, hidden_until: enqueued.unwrap_or(now), scheduled: enqueued.is_some() };
        self.queues.entry(path).or_default().messages.push(held);
    }

    pub(super) fn receive(&mut self, path: &str, now: SystemTime) -> Option<Delivery> {
        let path = path.to_lowercase();
        self.give_up(&path, now);
        let queue = self.queues.get_mut(&path)?;
        let mut busy: HashSet<String> = HashSet::new();
        for held in &mut queue.messages {
            let session = held.delivery.session.clone().filter(|_| queue.sessions);
            let taken = session.as_ref().is_some_and(|session| busy.contains(session));
            if held.hidden_until <= now && !taken {
                held.scheduled = false;
                held.hidden_until = now + LOCK;
                held.delivery.count += 1;
                held.delivery.lock = format!("lock-{}-{}", held.delivery.sequence, held.delivery.count);
                return Some(held.delivery.clone());
            }
            busy.extend(session.filter(|_| !held.scheduled));
        }
        None
    }

    /// Moves what was delivered too often.
    fn give_up(&mut self, path: &str, now: SystemTime) {
        let Some(queue) = self.queues.get_mut(path) else { return };
        if path.ends_with(GIVEN_UP) {
            return;
        }
        let spent = |held: &mut Held| held.hidden_until <= now && held.delivery.count >= MOST_DELIVERIES;
        let spent: Vec<_> = queue.messages.extract_if(.., spent).collect();
        let given_up = format!("{path}{GIVEN_UP}");
        for mut held in spent {
            held.delivery.path.clone_from(&given_up);
            let reason = ("DeadLetterReason".to_owned(), "MaxDeliveryCountExceeded".to_owned());
            held.delivery.properties.extend([reason]);
            (held.delivery.count, held.delivery.lock) = (0, String::new());
            self.queues.entry(given_up.clone()).or_default().messages.push(held);
        }
    }

    /// The place of a message whose lock is good.
    fn locked(&mut self, path: &str, lock: &str, now: SystemTime) -> Option<(&mut Queue, usize)> {
        let queue = self.queues.get_mut(&path.to_lowercase())?;
        let good = |held: &Held| !lock.is_empty() && held.delivery.lock == lock && held.hidden_until > now;
        let place = queue.messages.iter().position(good)?;
        Some((queue, place))
    }

    pub(super) fn complete(&mut self, path: &str, lock: &str, now: SystemTime) -> bool {
        let Some((queue, place)) = self.locked(path, lock, now) else { return false };
        queue.messages.remove(place);
        true
    }

    pub(super) fn unlock(&mut self, path: &str, lock: &str, now: SystemTime, after: Duration) -> bool {
        let Some((queue, place)) = self.locked(path, lock, now) else { return false };
        let held = &mut queue.messages[place];
        (held.hidden_until, held.delivery.lock) = (now + after, String::new());
        true
    }

    pub(super) fn peek(&self, path: &str) -> Vec<Delivery> {
        let queue = self.queues.get(&path.to_lowercase());
        queue.map(|queue| queue.messages.iter().map(|held| held.delivery.clone()).collect()).unwrap_or_default()
    }
}
