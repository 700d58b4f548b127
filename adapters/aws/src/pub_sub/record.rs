//! The records of an SQS queue, as Lambda sends them.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::{self, from_millis, later};
use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId};
use isobar_abstraction::{Error, Result};
use serde_json::value::RawValue;

use super::wire::{ReceivedMessage, attributes};
use crate::profile::PROFILE;

/// One SQS message from Lambda or from `ReceiveMessage`, decoded by [`ReceivedMessage`].
#[derive(Debug)]
pub(crate) struct Record {
    /// The id for Lambda's partial batch response.
    pub(crate) id: String,
    /// The receipt handle of this delivery.
    pub(crate) receipt: String,
    /// The group in a FIFO queue, whose messages are in order.
    pub(crate) group: Option<String>,
    pub(crate) message: Message<Bytes>,
    /// The time before which the message must not be delivered; at most the longest delay after SQS received the message.
    pub(crate) due: Option<SystemTime>,
    /// When SQS received it.
    pub(crate) sent_at: SystemTime,
    /// The details of a dead letter; without meaning after a redrive.
    pub(crate) dead: Option<DeadLetterDetails>,
    /// The reason why the message cannot be read, if it cannot; `message` then has the original body.
    pub(crate) unreadable: Option<String>,
}

impl Record {
    /// Reads a record of Lambda's event of a queue. Errors: `InvalidInput` for a record without an id, which cannot be
    /// acknowledged.
    pub(crate) fn read(record: &Fields<'_>, fifo: bool, now: SystemTime) -> Result<Self> {
        let text = |name: &str| record.text(name).map(|text| text.into_owned());
        let id =
            text("messageId").ok_or_else(|| Error::invalid_input("a record of the SQS event has no `messageId`"))?;
        let system_attributes = record.object("attributes").unwrap_or_default();
        let number = |name: &str| system_attributes.text(name).and_then(|text| text.parse::<u64>().ok());
        let attempt = number("ApproximateReceiveCount").unwrap_or(1).max(1);
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
        let sent_at = number("SentTimestamp").map_or(SystemTime::UNIX_EPOCH, from_millis);
        // In standard queues a group is a tenant and has no order.
        let group = system_attributes.text("MessageGroupId").filter(|_| fifo).map(|group| group.into_owned());
        let body = text("body").ok_or_else(|| Error::invalid_input("the body of the message is not text"));
        let original_body = match &body {
            Ok(body) => body.clone(),
            Err(_) => record.get("body").map_or("null", RawValue::get).to_owned(),
        };
        let attributes = match record.get("messageAttributes") {
            Some(json) => serde_json::from_str(json.get())
                .map_err(|_| Error::invalid_input("the attributes of the message are not JSON"))
                .and_then(|json| attributes(&json)),
            None => Ok(BTreeMap::new()),
        };
        let mut message = Message::new(MessageId::new(id.clone()), original_body, sent_at);
        (message.attempt, message.ordering_key) = (attempt, group.clone());
        message.attributes = attributes.as_ref().cloned().unwrap_or_default();
        let decoded = body.and_then(|body| {
            let (id, group) = (id.clone(), group.clone());
            ReceivedMessage { id, body, attributes: attributes?, sent_at, attempt, group }.decode()
        });
        let (due, dead, unreadable) = match decoded {
            Ok(decoded) => {
                message = decoded.message;
                (decoded.due, decoded.dead, None)
            }
            Err(error) => (None, None, Some(format!("the message cannot be read: {}", error.message()))),
        };
        // A wrong due time of another publisher must not hide the message until SQS deletes it, nor block its group.
        let latest = later(number("SentTimestamp").map_or(now, from_millis), PROFILE.limits.message_delay);
        let due = due.filter(|_| message.ordering_key.is_none()).map(|due: SystemTime| due.min(latest));
        let first_received = number("ApproximateFirstReceiveTimestamp").map(from_millis);
        if first_received.is_some_and(|first| due.is_some_and(|due| first < due)) {
            // SQS has counted the delivery that was too early.
            message.attempt = message.attempt.saturating_sub(1).max(1);
        }
        message.published_at = clock::sent_at(message.published_at, now);
        Ok(Self {
            id,
            receipt: text("receiptHandle").unwrap_or_default(),
            group,
            message,
            due,
            sent_at,
            dead,
            unreadable,
        })
    }
}
