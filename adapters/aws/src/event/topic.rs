//! The records of an SNS topic that invokes the function without a queue.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>

use std::time::SystemTime;

use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::{Error, Result};
use serde_json::Value;

use super::{Arn, malformed};
use crate::pub_sub::wire::{DecodedMessage, ReceivedMessage, attributes, time};

/// A message from SNS.
#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) topic: Arn,
    /// The message, or `InvalidInput` if it cannot be read.
    pub(crate) message: Result<DecodedMessage>,
    /// The original body, or the whole record without a body.
    pub(crate) text: String,
}

impl Notification {
    /// Reads a record. Errors: `InvalidInput` for a record without the ARN of its topic.
    pub(crate) fn read(record: &Fields<'_>) -> Result<Self> {
        let sns = record.get("Sns").map_or("null", |sns| sns.get());
        let sns: Value = serde_json::from_str(sns).map_err(|error| malformed("Sns", &error))?;
        let topic = Arn::read(sns["TopicArn"].as_str().unwrap_or_default(), "sns", "an SNS topic")?;
        let text = sns["Message"].as_str().map_or_else(|| sns.to_string(), str::to_owned);
        Ok(Self { topic, message: message(&sns), text })
    }
}

fn message(sns: &Value) -> Result<DecodedMessage> {
    let text = |name: &str| {
        let missing = || Error::invalid_input(format!("the message of SNS has no `{name}`"));
        sns[name].as_str().map(str::to_owned).ok_or_else(missing)
    };
    let received = ReceivedMessage {
        id: text("MessageId")?,
        body: text("Message")?,
        attributes: attributes(&sns["MessageAttributes"])?,
        sent_at: time(&sns["Timestamp"]).unwrap_or(SystemTime::UNIX_EPOCH),
        attempt: 1,
        group: None,
    };
    received.decode()
}
