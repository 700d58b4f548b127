//! `PublishBatch` of SNS: the request, how much goes into one, and what its answer says of each message.

use std::collections::BTreeMap;

use bytes::Bytes;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::PLAIN;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use super::wire::{self, Carried};
use crate::service_error::code::meaning;

/// Messages that one request may have.
const BATCH: usize = 10;

/// Bytes that the messages of one request may have together, with their attributes.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
const BATCH_BYTES: usize = 262_144;

/// One message of a request.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The id that isobar gave it. SNS drops a second message of a FIFO topic with the same within
    /// five minutes, so that a repeated request does nothing.
    pub(super) id: &'a str,
    /// The group, if the topic is FIFO.
    pub(super) group: Option<&'a str>,
    pub(super) carried: Carried<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(message: &'a Message<Bytes>) -> Result<Self> {
        let carried = wire::encode(message, None)?;
        Ok(Self { id: message.id.as_str(), group: message.ordering_key.as_deref(), carried })
    }

    /// The ordering key; empty where there is none.
    pub(super) fn key(&self) -> &'a str {
        self.group.unwrap_or_default()
    }

    /// Its size as SNS counts it: body, and names, types and values of the attributes.
    fn bytes(&self) -> usize {
        let attributes = self.carried.attributes.iter();
        let attributes = attributes.map(|(name, value)| name.len() + "String".len() + value.len());
        self.carried.body.len() + attributes.sum::<usize>()
    }

    fn write(&self, form: &mut Form, place: usize) {
        let entry = format!("PublishBatchRequestEntries.member.{}", place + 1);
        form.add(&format!("{entry}.Id"), &place.to_string());
        form.add(&format!("{entry}.Message"), &self.carried.body);
        for (number, (name, value)) in self.carried.attributes.iter().enumerate() {
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

/// How many of these, from the first, fit into one request. At least one: SNS has the last word.
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
    for (place, entry) in entries.iter().enumerate() {
        entry.write(&mut form, place);
    }
    form.0
}

/// `application/x-www-form-urlencoded`.
struct Form(String);

impl Form {
    /// Names are ours, and need no escapes.
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, &PLAIN));
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

/// What the answer to a request of `count` messages says of each, in their order.
pub(super) fn results(xml: &[u8], count: usize) -> Vec<Result<()>> {
    let answer: Option<Answer> = std::str::from_utf8(xml).ok().and_then(|xml| quick_xml::de::from_str(xml).ok());
    let mut told: BTreeMap<String, Result<()>> = BTreeMap::new();
    if let Some(Answer { publish_batch_result: BatchResult { successful, failed } }) = answer {
        told.extend(successful.member.into_iter().map(|success| (success.id, Ok(()))));
        told.extend(failed.member.into_iter().map(|failure| (failure.id.clone(), Err(failure.into()))));
    }
    let silent = || Err(Error::internal("SNS did not say what became of the message").with_outcome_unknown());
    (0..count).map(|place| told.remove(&place.to_string()).unwrap_or_else(silent)).collect()
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, sender_fault, .. } = failure;
        let kind = match meaning(&code, 0).kind() {
            ErrorKind::Internal if sender_fault => ErrorKind::InvalidInput,
            ErrorKind::Internal => ErrorKind::Unavailable,
            kind => kind,
        };
        let error = Self::new(kind, format!("SNS answers {code}: {message}"));
        if kind == ErrorKind::Unavailable { error.with_outcome_unknown() } else { error }
    }
}

#[cfg(test)]
mod tests;
