//! One SQS message as Lambda hands it over.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::{self, from_millis};
use isobar_abstraction::pub_sub::{Message, MessageId};
use isobar_abstraction::{Error, Result};
use serde_json::Value;

use crate::pub_sub::FIFO;
use crate::pub_sub::wire::{Arrived, attributes};

/// One SQS message as Lambda hands it over.
#[derive(Debug)]
pub(super) struct Record {
    /// What Lambda knows it by.
    pub(super) id: String,
    /// What SQS knows this delivery by.
    pub(super) receipt: String,
    /// The group in a FIFO queue, whose messages keep their order.
    pub(super) group: Option<String>,
    pub(super) message: Message<Bytes>,
    /// Why the message cannot be read, if it cannot. It is then as it came.
    pub(super) unreadable: Option<String>,
}

impl Record {
    /// Reads a record. Errors: `InvalidInput` where it does not say what it is, so that Lambda could
    /// not be told what became of it.
    pub(super) fn read(mut told: Value, queue: &str, now: SystemTime) -> Result<Self> {
        let nameless = || Error::invalid("a record of the SQS event has no `messageId`");
        let id = told["messageId"].as_str().map(str::to_owned).ok_or_else(nameless)?;
        let receipt = told["receiptHandle"].as_str().unwrap_or_default().to_owned();
        let attribute = |name: &str| told["attributes"][name].as_str();
        let number = |name: &str| attribute(name).and_then(|text| text.parse::<u64>().ok());
        let attempt = number("ApproximateReceiveCount").unwrap_or(1).max(1);
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
        let sent_at = number("SentTimestamp").map_or(SystemTime::UNIX_EPOCH, from_millis);
        // In other queues a group is a tenant, and orders nothing.
        let group = attribute("MessageGroupId").filter(|_| queue.ends_with(FIFO)).map(str::to_owned);
        let attributes = attributes(&told["messageAttributes"]);
        let body = told.as_object_mut().and_then(|told| told.remove("body"));
        let raw = |body: Bytes| {
            let mut message = Message::new(MessageId::new(id.clone()), body, sent_at);
            (message.attempt, message.ordering_key) = (attempt, group.clone());
            message
        };
        let (mut message, problem) = match (body, attributes) {
            (Some(Value::String(body)), Ok(attributes)) => {
                let mut plain = raw(Bytes::from(body.clone()));
                plain.attributes.clone_from(&attributes);
                let arrived = Arrived { id: id.clone(), body, attributes, sent_at, attempt, group: group.clone() };
                match arrived.open() {
                    Ok((message, _)) => (message, None),
                    Err(error) => (plain, Some(error)),
                }
            }
            (Some(Value::String(body)), Err(error)) => (raw(body.into()), Some(error)),
            (body, _) => {
                let body = body.unwrap_or_default().to_string();
                (raw(body.into()), Some(Error::invalid("its body is no text")))
            }
        };
        message.published_at = clock::known(message.published_at, now);
        let unreadable = problem.map(|error| format!("the message cannot be read: {}", error.message()));
        Ok(Self { id, receipt, group, message, unreadable })
    }
}
