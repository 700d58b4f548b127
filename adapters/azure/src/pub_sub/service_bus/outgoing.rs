//! The body of a request that sends messages, and how much goes into one.
//!
//! One message is sent in the form of a batch too: in the other form its properties are headers, whose
//! names lose their case and whose values are ASCII.
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

/// Messages that one request may have: as many as one transaction.
///
/// <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas>
const BATCH: usize = 100;

/// Bytes that a request may have, and each of its messages; in the premium tier more.
pub(crate) const BATCH_BYTES: usize = 262_144;

/// One message of a request.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// The session, whose messages keep their order.
    pub(super) session: Option<&'a str>,
    json: String,
}

/// What a copy has more than its message.
#[derive(Debug, Default)]
pub(crate) struct Extra<'a> {
    /// The only subscription that it is for.
    pub(crate) meant_for: Option<&'a str>,
    /// The end of its `MessageId`. A topic that finds duplicates would drop a copy under its message's.
    pub(crate) id_end: Option<String>,
    /// Not to be delivered before.
    pub(crate) not_before: Option<SystemTime>,
    /// Without a session, as queues want it that have none.
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
        let carried = wire::encode(message, sending)?;
        let session = message.ordering_key.as_deref().filter(|_| !extra.unordered);
        let id = format!("{}{}", message.id, extra.id_end.as_deref().unwrap_or_default());
        let mut properties: BTreeMap<&str, &str> =
            carried.properties.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        properties.extend(extra.meant_for.map(|subscription| (FOR, subscription)));
        let item = Item {
            body: &carried.body,
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

/// Service Bus takes ids of 128 characters. Longer ones are somebody else's.
fn clipped(id: &str) -> &str {
    id.char_indices().nth(128).map_or(id, |(end, _)| &id[..end])
}

/// The next whole second, in the only form that the documentation shows.
fn rfc1123(time: SystemTime) -> String {
    to_http(later(time, Duration::from_nanos(999_999_999)))
}

/// Requests for these.
pub(super) fn split<'a, 'b>(entries: &'a [&'a Entry<'b>]) -> Vec<&'a [&'a Entry<'b>]> {
    // Of what is around them there is one byte, and one behind each.
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
