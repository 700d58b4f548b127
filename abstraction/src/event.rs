//! Events and replies: the argument and the result of a [`Function`](crate::function::Function).
//!
//! They are the same on every platform. A host converts the platform's form of an event, so that an app, a layer and a test
//! see one type.

use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::blob::key;
use crate::key_value::Key;
use crate::pub_sub::Message;
use crate::{Body, Outcome};

/// An event that makes a function run. A host builds it from the platform's form.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// An HTTP request. The path is the path of the app: a host must remove prefixes of stages and routes.
    Http(http::Request<Body>),
    /// A message of a topic.
    Message {
        /// The topic's logical name.
        topic: String,
        /// The name of the subscription that receives it.
        subscription: String,
        /// The message, with its body as bytes and its delivery attempt.
        message: Message<Bytes>,
    },
    /// The creation, replacement or deletion of an object.
    Object {
        /// The name of the [object events](crate::ObjectEvents) that receive it.
        trigger: String,
        /// The change.
        event: ObjectEvent,
    },
    /// A write of an item of a table.
    Write(WriteEvent),
    /// A tick of a schedule.
    Schedule(Tick),
    /// A direct call of a function.
    Invoke(Invocation),
}

/// The reply to an [`Event`], of the kind that belongs to the event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// The response to [`Event::Http`].
    Http(http::Response<Body>),
    /// The outcome of [`Event::Message`], [`Event::Object`], [`Event::Write`] and [`Event::Schedule`].
    Handled(Outcome),
    /// The answer to [`Event::Invoke`], as JSON.
    Invoke(Bytes),
}

/// The kind of change of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObjectChange {
    /// The object was created, or replaced by a new version.
    Created {
        /// The new size in bytes.
        size: u64,
    },
    /// The object was deleted.
    Deleted,
}

/// A change of an object in a bucket. It is delivered at least once, and in no order: an event of an older change can
/// arrive later. Read the object to see its current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectEvent {
    /// The bucket's logical name.
    pub bucket: String,
    /// The object's key, as the app wrote it.
    pub key: String,
    /// The kind of change.
    pub change: ObjectChange,
    /// The time of the change, in milliseconds since 1970 in JSON; the time of delivery where the service reports none.
    #[serde(with = "crate::clock::millis")]
    pub time: SystemTime,
}

impl ObjectEvent {
    /// For hosts: a change of the object with the *stored* name `stored`, which is [decoded](crate::blob::key::decode) here.
    pub fn new(bucket: impl Into<String>, stored: &str, change: ObjectChange, time: SystemTime) -> Self {
        Self { bucket: bucket.into(), key: key::decode(stored), change, time }
    }
}

/// A write of an item. It is delivered at least once, in no order, and possibly once for several writes of the item. Read
/// the item to see its current state: it may have been written again, or deleted. See
/// [`App::on_write`](crate::App::on_write).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WriteEvent {
    /// The table's logical name.
    pub table: String,
    /// The key of the item.
    pub key: Key,
}

impl WriteEvent {
    /// For hosts: a write of the item at `key`.
    pub fn new(table: impl Into<String>, key: impl Into<Key>) -> Self {
        Self { table: table.into(), key: key.into() }
    }
}

/// A run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The name of the schedule in the app.
    pub schedule: String,
    /// The planned time. The run can start later, and one tick can be delivered twice, with the same time.
    pub due: SystemTime,
}

impl Tick {
    /// For hosts: a tick of this schedule.
    pub fn new(schedule: impl Into<String>, due: SystemTime) -> Self {
        Self { schedule: schedule.into(), due }
    }
}

/// A direct call of a function, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invocation {
    /// The name of the function in [`App::on_invoke`](crate::App::on_invoke).
    pub function: String,
    /// The payload, as JSON. An empty payload counts as `null`.
    pub payload: Bytes,
}

impl Invocation {
    /// For hosts: a call of this function.
    pub fn new(function: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { function: function.into(), payload: payload.into() }
    }
}
