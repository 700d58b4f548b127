//! The messages of the double.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// How long a message is locked: the service's default.
const LOCK: Duration = Duration::from_secs(60);

/// Deliveries before the service moves a message to the dead letters: its default.
const MOST_DELIVERIES: u32 = 10;

/// The same of a queue of isobar's dead letters, as a deployment makes it: a tool that lists them counts as a delivery.
const MOST_READS: u32 = 2_000;

/// The end of the path of a dead-letter queue.
const DEAD_LETTERS: &str = "/$deadletterqueue";

/// Whether a subscription requires sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// It accepts all messages, and keeps no order.
    None,
    /// It accepts no message without a session, and delivers one of each session at a time.
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
    /// `LockToken`; empty where the message was only peeked at.
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
struct Stored {
    delivery: Delivery,
    /// The end of its schedule, lock or delay.
    hidden_until: SystemTime,
    /// Whether it is scheduled and has not arrived: later messages of its session do not wait for it.
    scheduled: bool,
}

#[derive(Debug, Default)]
struct Queue {
    sessions: bool,
    messages: Vec<Stored>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    /// By lower-case path, as the service accepts any case.
    queues: BTreeMap<String, Queue>,
    topics: HashSet<String>,
    sequence: u64,
}

impl Store {
    pub(super) fn create_queue(&mut self, path: &str) {
        let path = path.to_lowercase();
        self.queues.entry(format!("{path}{DEAD_LETTERS}")).or_default();
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

    /// Whether a queue or subscription requires sessions. `None` where there is none of this path.
    pub(super) fn requires_sessions(&self, path: &str) -> Option<bool> {
        self.queues.get(&path.to_lowercase()).map(|queue| queue.sessions)
    }

    /// Stores messages, all or none. `false` where there is no such queue or topic.
    pub(super) fn send(&mut self, entity: &str, messages: &[Sent], now: SystemTime) -> bool {
        let entity = entity.to_lowercase();
        let own =
            |path: &String| path.starts_with(&format!("{entity}/subscriptions/")) && !path.ends_with(DEAD_LETTERS);
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
        let target = message.properties.get("isobar-for");
        if let (Some(subscription), Some(target)) = (subscription, target)
            && !target.eq_ignore_ascii_case(subscription)
        {
            return;
        }
        self.sequence += 1;
        // A subscription with sessions cannot deliver a message that has none.
        let dead = message.session.is_none() && self.queues.get(path).is_some_and(|queue| queue.sessions);
        let path = if dead { format!("{path}{DEAD_LETTERS}") } else { path.to_owned() };
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
        let stored = Stored { delivery, hidden_until: enqueued.unwrap_or(now), scheduled: enqueued.is_some() };
        self.queues.entry(path).or_default().messages.push(stored);
    }

    pub(super) fn receive(&mut self, path: &str, now: SystemTime) -> Option<Delivery> {
        let path = path.to_lowercase();
        self.move_to_dead_letters(&path, now);
        let queue = self.queues.get_mut(&path)?;
        let mut busy: HashSet<String> = HashSet::new();
        for stored in &mut queue.messages {
            let session = stored.delivery.session.clone().filter(|_| queue.sessions);
            let locked = session.as_ref().is_some_and(|session| busy.contains(session));
            if stored.hidden_until <= now && !locked {
                stored.scheduled = false;
                stored.hidden_until = now + LOCK;
                stored.delivery.count += 1;
                stored.delivery.lock = format!("lock-{}-{}", stored.delivery.sequence, stored.delivery.count);
                return Some(stored.delivery.clone());
            }
            busy.extend(session.filter(|_| !stored.scheduled));
        }
        None
    }

    /// Moves the messages that were delivered too often.
    fn move_to_dead_letters(&mut self, path: &str, now: SystemTime) {
        let Some(queue) = self.queues.get_mut(path) else { return };
        if path.ends_with(DEAD_LETTERS) {
            return;
        }
        let most = if path.ends_with("--dead") { MOST_READS } else { MOST_DELIVERIES };
        let spent = |stored: &mut Stored| stored.hidden_until <= now && stored.delivery.count >= most;
        let spent: Vec<_> = queue.messages.extract_if(.., spent).collect();
        let dead_letters = format!("{path}{DEAD_LETTERS}");
        for mut stored in spent {
            stored.delivery.path.clone_from(&dead_letters);
            let reason = ("DeadLetterReason".to_owned(), "MaxDeliveryCountExceeded".to_owned());
            stored.delivery.properties.extend([reason]);
            (stored.delivery.count, stored.delivery.lock) = (0, String::new());
            self.queues.entry(dead_letters.clone()).or_default().messages.push(stored);
        }
    }

    /// The queue and index of a message whose lock is valid.
    fn locked(&mut self, path: &str, lock: &str, now: SystemTime) -> Option<(&mut Queue, usize)> {
        let queue = self.queues.get_mut(&path.to_lowercase())?;
        let valid = |stored: &Stored| !lock.is_empty() && stored.delivery.lock == lock && stored.hidden_until > now;
        let place = queue.messages.iter().position(valid)?;
        Some((queue, place))
    }

    pub(super) fn complete(&mut self, path: &str, lock: &str, now: SystemTime) -> bool {
        let Some((queue, place)) = self.locked(path, lock, now) else { return false };
        queue.messages.remove(place);
        true
    }

    pub(super) fn unlock(&mut self, path: &str, lock: &str, now: SystemTime, after: Duration) -> bool {
        let Some((queue, place)) = self.locked(path, lock, now) else { return false };
        let stored = &mut queue.messages[place];
        (stored.hidden_until, stored.delivery.lock) = (now + after, String::new());
        true
    }

    /// The messages of an entity: active, scheduled, and in its own dead letters. `None` where there is none of this path.
    pub(super) fn counts(&self, path: &str, now: SystemTime) -> Option<[usize; 3]> {
        let path = path.to_lowercase();
        let queue = self.queues.get(&path)?;
        let scheduled = queue.messages.iter().filter(|it| it.scheduled && it.hidden_until > now).count();
        let dead = self.queues.get(&format!("{path}{DEAD_LETTERS}")).map_or(0, |dead| dead.messages.len());
        Some([queue.messages.len() - scheduled, scheduled, dead])
    }

    pub(super) fn peek(&self, path: &str) -> Vec<Delivery> {
        let queue = self.queues.get(&path.to_lowercase());
        queue.map(|queue| queue.messages.iter().map(|stored| stored.delivery.clone()).collect()).unwrap_or_default()
    }
}
