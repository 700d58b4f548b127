//! What a host hands to a [`Function`](crate::function::Function), and what it gets back.

use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::blob::key;
use crate::pub_sub::Message;
use crate::{Body, Outcome};

/// Everything that can make a function run. A host builds it from its platform's own form.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// An HTTP request. The path is the app's own: a host strips stage and route prefixes.
    Http(http::Request<Body>),
    /// A message of a topic.
    Message {
        /// The topic's logical name.
        topic: String,
        /// The subscription that it is delivered for.
        subscription: String,
        /// The message.
        message: Message<Bytes>,
    },
    /// An object was created, replaced or deleted.
    Object(ObjectEvent),
    /// A schedule is due.
    Schedule(Tick),
    /// A direct call.
    Invoke(Invocation),
}

/// The answer to an [`Event`], of the same shape as the event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// To [`Event::Http`].
    Http(http::Response<Body>),
    /// To [`Event::Message`], [`Event::Object`] and [`Event::Schedule`].
    Handled(Outcome),
    /// To [`Event::Invoke`]: the answer as JSON.
    Invoke(Bytes),
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObjectChange {
    /// It was created, or replaced by a new version.
    Created {
        /// Its size in bytes.
        size: u64,
    },
    /// It was deleted.
    Deleted,
}

/// An object of a bucket changed. Delivered at least once, in no order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectEvent {
    /// The bucket's logical name.
    pub bucket: String,
    /// The object's key, as the app wrote it.
    pub key: String,
    /// What happened.
    pub change: ObjectChange,
    /// When.
    #[serde(with = "crate::clock::millis")]
    pub time: SystemTime,
}

impl ObjectEvent {
    /// For hosts: an event on the object whose *stored* name is `stored`, which is decoded here.
    pub fn new(bucket: impl Into<String>, stored: &str, change: ObjectChange, time: SystemTime) -> Self {
        Self { bucket: bucket.into(), key: key::decode(stored), change, time }
    }
}

/// A schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The schedule's name.
    pub schedule: String,
    /// When it was due. It may run later than that, and a tick may come twice.
    pub due: SystemTime,
}

impl Tick {
    /// For hosts: a tick of this schedule.
    pub fn new(schedule: impl Into<String>, due: SystemTime) -> Self {
        Self { schedule: schedule.into(), due }
    }
}

/// A direct call of a function by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invocation {
    /// The name given to `on_invoke`.
    pub function: String,
    /// The request, as JSON. Empty stands for `null`.
    pub payload: Bytes,
}

impl Invocation {
    /// For hosts: a call of this function.
    pub fn new(function: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { function: function.into(), payload: payload.into() }
    }
}
