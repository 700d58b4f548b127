//! The body of a request that sends messages, and its limits.
//!
//! One message is also sent in the format of a batch: in the other format its properties are headers, whose names lose
//! their case and whose values are ASCII.
//!
//! <https://learn.microsoft.com/rest/api/servicebus/send-message-batch>

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use isobar_abstraction::Result;
use isobar_abstraction::clock::{later, to_http};
use isobar_abstraction::driver::pub_sub::Message;
use isobar_rest::batches;
use serde::Serialize;

use crate::pub_sub::wire::{self, FOR, Sending};

/// The most messages in one request: as many as in one transaction.
///
/// <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas>
const BATCH: usize = 100;

/// The most bytes of a request, and of each of its messages; the premium tier allows more.
pub(crate) const BATCH_BYTES: usize = 262_144;

/// One message of a request.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// The session, which orders its messages.
    pub(super) session: Option<&'a str>,
    json: String,
}

/// The properties of a delayed message, a copy or a dead letter in addition to those of its message.
#[derive(Debug, Default)]
pub(crate) struct Extra<'a> {
    /// The only subscription that it is for.
    pub(crate) only_for: Option<&'a str>,
    /// The suffix of its `MessageId`. With the message's id, a topic with duplicate detection would drop the copy.
    pub(crate) id_suffix: Option<String>,
    /// The earliest delivery.
    pub(crate) not_before: Option<SystemTime>,
    /// Leaves out the session, for queues without sessions.
    pub(crate) unordered: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item<'a> {
    body: &'a str,
    broker_properties: Broker<'a>,
    user_properties: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Broker<'a> {
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_enqueue_time_utc: Option<String>,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(message: &'a Message<Bytes>, sending: Sending, extra: &Extra<'_>) -> Result<Self> {
        let encoded = wire::encode(message, sending)?;
        let session = message.ordering_key.as_deref().filter(|_| !extra.unordered);
        let id = format!("{}{}", message.id, extra.id_suffix.as_deref().unwrap_or_default());
        let mut properties: BTreeMap<&str, &str> =
            encoded.properties.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        properties.extend(extra.only_for.map(|subscription| (FOR, subscription)));
        let item = Item {
            body: &encoded.body,
            broker_properties: Broker {
                message_id: clipped(&id),
                session_id: session,
                scheduled_enqueue_time_utc: extra.not_before.map(rfc1123),
            },
            user_properties: properties,
        };
        let json = serde_json::to_string(&item)?;
        Ok(Self { session, json })
    }

    /// The ordering key; empty where there is none.
    pub(super) fn key(&self) -> &'a str {
        self.session.unwrap_or_default()
    }
}

/// The id, cut to Service Bus's limit of 128 characters. Only ids of other senders can be longer.
fn clipped(id: &str) -> &str {
    id.char_indices().nth(128).map_or(id, |(end, _)| &id[..end])
}

/// The next full second, in the only format of the documentation.
fn rfc1123(time: SystemTime) -> String {
    to_http(later(time, Duration::from_nanos(999_999_999)))
}

/// Splits the messages into requests.
pub(super) fn split<'a, 'b>(entries: &'a [&'a Entry<'b>]) -> Vec<&'a [&'a Entry<'b>]> {
    // One byte for the opening bracket, and one after each message.
    batches(entries, BATCH, BATCH_BYTES - 1, |entry| entry.json.len() + 1)
}

/// The body of a request.
pub(super) fn body(entries: &[&Entry<'_>]) -> Bytes {
    let mut json = String::with_capacity(entries.iter().map(|entry| entry.json.len() + 1).sum::<usize>() + 1);
    for entry in entries {
        json.push(if json.is_empty() { '[' } else { ',' });
        json.push_str(&entry.json);
    }
    json.push(']');
    json.into()
}
