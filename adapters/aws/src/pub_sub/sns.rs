//! `PublishBatch` of SNS: the request, its limits and the result of each message.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::ESCAPED;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use super::wire::{self, EncodedMessage};
use crate::service_error::class::classify;

/// The most messages in one request.
const BATCH: usize = 10;

/// The most bytes of all messages in one request, including their attributes.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
const BATCH_BYTES: usize = 262_144;

/// One message of a request.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The id from isobar. A FIFO topic drops a second message with the same id within five minutes, so that a
    /// repeated request has no effect.
    pub(super) id: &'a str,
    /// The group, if the topic is FIFO.
    pub(super) group: Option<&'a str>,
    pub(super) encoded: EncodedMessage<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(message: &'a Message<Bytes>, due: Option<SystemTime>) -> Result<Self> {
        let encoded = wire::encode(message, due)?;
        Ok(Self { id: message.id.as_str(), group: message.ordering_key.as_deref(), encoded })
    }

    /// The ordering key, or an empty text without one.
    pub(super) fn key(&self) -> &'a str {
        self.group.unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        self.encoded.bytes()
    }

    fn write(&self, form: &mut Form, index: usize) {
        let entry = format!("PublishBatchRequestEntries.member.{}", index + 1);
        form.add(&format!("{entry}.Id"), &index.to_string());
        form.add(&format!("{entry}.Message"), &self.encoded.body);
        for (number, (name, value)) in self.encoded.attributes.iter().enumerate() {
            let attribute = format!("{entry}.MessageAttributes.entry.{}", number + 1);
            form.add(&format!("{attribute}.Name"), name);
            form.add(&format!("{attribute}.Value.DataType"), "String");
            form.add(&format!("{attribute}.Value.StringValue"), value);
        }
        if let Some(group) = self.group {
            form.add(&format!("{entry}.MessageGroupId"), group);
            form.add(&format!("{entry}.MessageDeduplicationId"), self.id);
        }
    }
}

/// The number of entries, from the first, that fit into one request. At least one, so that SNS rejects an
/// entry that is too large.
pub(super) fn fitting(entries: &[&Entry<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&&Entry<'_>| {
        bytes += entry.bytes();
        bytes <= BATCH_BYTES
    };
    entries.iter().take(BATCH).take_while(fits).count().max(1)
}

/// The body of a request.
pub(super) fn request(topic_arn: &str, entries: &[&Entry<'_>]) -> String {
    let mut form = Form(String::with_capacity(entries.iter().map(|entry| entry.bytes() * 5 / 4 + 1_024).sum()));
    form.add("Action", "PublishBatch");
    form.add("Version", "2010-03-31");
    form.add("TopicArn", topic_arn);
    for (index, entry) in entries.iter().enumerate() {
        entry.write(&mut form, index);
    }
    form.0
}

/// `application/x-www-form-urlencoded`.
struct Form(String);

impl Form {
    /// Adds a field. Names are constants of isobar and need no escapes.
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, &ESCAPED));
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    publish_batch_result: BatchResult,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchResult {
    #[serde(default)]
    successful: Members<Success>,
    #[serde(default)]
    failed: Members<Failure>,
}

#[derive(Debug, Default, Deserialize)]
struct Members<T> {
    #[serde(default)]
    member: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Success {
    id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    id: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    sender_fault: bool,
}

/// The results of a request of `count` messages, in their order.
pub(super) fn results(xml: &[u8], count: usize) -> Vec<Result<()>> {
    let answer: Option<Answer> = std::str::from_utf8(xml).ok().and_then(|xml| quick_xml::de::from_str(xml).ok());
    let mut results: BTreeMap<String, Result<()>> = BTreeMap::new();
    if let Some(Answer { publish_batch_result: BatchResult { successful, failed } }) = answer {
        results.extend(successful.member.into_iter().map(|success| (success.id, Ok(()))));
        results.extend(failed.member.into_iter().map(|failure| (failure.id.clone(), Err(failure.into()))));
    }
    let missing = || Err(Error::internal("SNS returned no result for the message").with_outcome_unknown());
    (0..count).map(|index| results.remove(&index.to_string()).unwrap_or_else(missing)).collect()
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, sender_fault, .. } = failure;
        let kind = match classify(&code, 0).kind() {
            ErrorKind::Internal if sender_fault => ErrorKind::InvalidInput,
            ErrorKind::Internal => ErrorKind::Unavailable,
            kind => kind,
        };
        let error = Self::new(kind, format!("SNS returned {code}: {message}"));
        if kind == ErrorKind::Unavailable { error.with_outcome_unknown() } else { error }
    }
}

#[cfg(test)]
mod tests;
