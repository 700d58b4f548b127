//! [`EventQueue`]: the name of the queue of one trigger.

use std::fmt;

use bytes::Bytes;

use crate::pub_sub::{DEFAULT_SUBSCRIPTION, Message};
use crate::resource::{Derived, ResourceKind, check_name};
use crate::{Error, Event, ObjectEvent, Result, WriteEvent, json};

/// The queue of one trigger: a subscription of a topic, object events of a bucket, or the writes of a table. Each queue has
/// waiting messages, attempts and dead letters of its own.
///
/// A source can have several queues, each with a name. The name `default` is that of a trigger without a name.
///
/// ```
/// use isobar_abstraction::EventQueue;
///
/// assert_eq!(EventQueue::topic("orders").to_string(), "topic `orders`");
/// assert_eq!(EventQueue::from(("orders", "index")), EventQueue::topic("orders").named("index"));
/// assert_eq!(EventQueue::bucket("pages").named("thumbs").to_string(), "events `thumbs` of bucket `pages`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventQueue {
    kind: ResourceKind,
    source: String,
    name: String,
}

impl EventQueue {
    /// The queue of the subscription `default` of a topic.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self::of(ResourceKind::Topic, topic)
    }

    /// The queue of the object events `default` of a bucket.
    pub fn bucket(bucket: impl Into<String>) -> Self {
        Self::of(ResourceKind::Bucket, bucket)
    }

    /// The queue of the writes of a table.
    pub fn table(table: impl Into<String>) -> Self {
        Self::of(ResourceKind::Table, table)
    }

    /// The queue `default` of a source.
    pub fn of(kind: ResourceKind, source: impl Into<String>) -> Self {
        Self { kind, source: source.into(), name: DEFAULT_SUBSCRIPTION.to_owned() }
    }

    /// Sets the name of the subscription or of the object events.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The kind of the source.
    pub fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The logical name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the subscription or of the object events; `default` for the writes of a table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is it the queue of a trigger without a name?
    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_SUBSCRIPTION
    }

    /// For adapters: the physical name, from that of the queue `default` of the same source.
    ///
    /// ```
    /// use isobar_abstraction::EventQueue;
    /// assert_eq!(EventQueue::topic("orders").physical("dev-orders"), "dev-orders");
    /// assert_eq!(EventQueue::from(("orders", "index")).physical("dev-orders"), "dev-orders--index");
    /// ```
    pub fn physical(&self, default: &str) -> String {
        if self.is_default() { default.to_owned() } else { format!("{default}--{}", self.name) }
    }

    /// For hosts: the event of a message in this queue. The body of a message of a bucket or a table is the event as JSON; its
    /// source becomes that of the queue, which has the logical name.
    ///
    /// Errors: `InvalidInput` for another body.
    pub fn event(&self, message: Message<Bytes>) -> Result<Event> {
        match self.kind {
            ResourceKind::Bucket => {
                let event = ObjectEvent { bucket: self.source.clone(), ..json::decode(&message.body)? };
                Ok(Event::Object { trigger: self.name.clone(), event })
            }
            ResourceKind::Table => {
                Ok(Event::Write(WriteEvent { table: self.source.clone(), ..json::decode(&message.body)? }))
            }
            _ => {
                let (topic, subscription) = (self.source.clone(), self.name.clone());
                Ok(Event::Message { topic, subscription, message })
            }
        }
    }

    /// Checks the name. Errors: `Config` for a name that is not logical, or that is a part of the names which providers
    /// derive.
    pub(crate) fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        if Derived::ALL.iter().any(|derived| derived.word() == self.name) {
            return Err(Error::config(format!(
                "`{}` is reserved for names of queues, as are `dead`, `events`, `fifo` and `writes`; use another name",
                self.name
            )));
        }
        Ok(())
    }
}

/// The queue of the subscription `default` of a topic.
impl From<&str> for EventQueue {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

/// The queue of a subscription, by topic and name.
impl From<(&str, &str)> for EventQueue {
    fn from((topic, subscription): (&str, &str)) -> Self {
        Self::topic(topic).named(subscription)
    }
}

impl From<&Self> for EventQueue {
    fn from(queue: &Self) -> Self {
        queue.clone()
    }
}

impl fmt::Display for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, source, name } = self;
        match kind {
            ResourceKind::Table => write!(f, "writes of table `{source}`"),
            _ if self.is_default() => write!(f, "{kind} `{source}`"),
            ResourceKind::Bucket => write!(f, "events `{name}` of bucket `{source}`"),
            _ => write!(f, "subscription `{name}` of {kind} `{source}`"),
        }
    }
}
