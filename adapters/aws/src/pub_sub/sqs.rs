//! A queue in SQS: for the host, which sends dead letters and the keys of writes, and changes the visibility of messages that
//! Lambda received; and for a backlog.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use isobar_abstraction::driver::Derived;
use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::driver::pub_sub::{BacklogMessage, BacklogPart, DeadLetterDetails, Message, each_failed};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError, batches};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::record::Record;
use super::wire::{self, EncodedMessage};
use super::{CONCURRENT_REQUESTS, FIFO};
use crate::State;
use crate::config::arn;
use crate::service::{AwsService, JsonApi, read_json};
use crate::service_error::class::classify;

/// The most messages in one request.
pub(crate) const BATCH: usize = 10;

/// The most bytes of all messages in one request, including their attributes.
const BATCH_BYTES: usize = 262_144;

/// The longest time for which SQS hides a message, in seconds.
const LONGEST_LEASE: u64 = 43_200;

/// A queue in SQS.
#[derive(Debug, Clone)]
pub(crate) struct SqsQueue {
    service: AwsService,
    account: String,
    name: String,
}

/// The new visibility timeout of one received message.
#[derive(Debug, Clone)]
pub(crate) struct VisibilityChange {
    pub(crate) receipt: String,
    pub(crate) seconds: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: String,
    message_body: &'a str,
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute<'a> {
    data_type: &'static str,
    string_value: &'a str,
}

impl<'a> Attribute<'a> {
    fn of(value: &'a str) -> Self {
        Self { data_type: "String", string_value: value }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'a> {
    queue_url: String,
    entries: Vec<BatchEntry<'a>>,
}

/// One entry of a batch of any operation, with the members that the operation has.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchEntry<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_handle: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility_timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_body: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Receive {
    queue_url: String,
    max_number_of_messages: usize,
    visibility_timeout: u64,
    wait_time_seconds: u32,
    attribute_names: [&'static str; 1],
    message_attribute_names: [&'static str; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    #[serde(default)]
    messages: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetAttributes {
    queue_url: String,
    attribute_names: [&'static str; 1],
}

/// The messages of a queue, approximately.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueCount {
    pub(super) visible: u64,
    pub(super) leased: u64,
    pub(super) delayed: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BatchAnswer {
    successful: Vec<BatchSuccess>,
    failed: Vec<BatchFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchSuccess {
    id: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BatchFailure {
    id: String,
    code: String,
    message: Option<String>,
}

impl<'a> BatchEntry<'a> {
    fn of_receipt(index: usize, receipt: &'a str, visibility_timeout: Option<u32>) -> Self {
        Self { id: index.to_string(), receipt_handle: Some(receipt), visibility_timeout, ..Self::default() }
    }
}

impl SqsQueue {
    /// The queue of this name; does not check whether it exists. Errors: `Config`.
    pub(crate) fn new(state: &Arc<State>, region: Option<&str>, account: &str, name: &str) -> Result<Self> {
        let service = AwsService::new(Arc::clone(state), "sqs", region)?;
        Ok(Self { service, account: account.to_owned(), name: name.to_owned() })
    }

    /// The queue for the dead letters of this queue.
    pub(crate) fn dead_letter_queue(&self) -> Self {
        let name = match self.name.strip_suffix(FIFO) {
            Some(name) => Derived::DeadLetters.of(name) + FIFO,
            None => Derived::DeadLetters.of(&self.name),
        };
        Self { name, ..self.clone() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the queue orders messages by groups.
    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO)
    }

    fn url(&self) -> String {
        format!("{}/{}/{}", self.service.endpoint(), self.account, self.name)
    }

    /// Sends a dead letter. `delivery_id` is the id of the failed delivery: a FIFO queue drops
    /// a second dead letter with the same id within five minutes.
    ///
    /// Errors: `NotFound` if the queue does not exist.
    pub(crate) async fn send_dead_letter(
        &self,
        message: &Message<Bytes>,
        details: DeadLetterDetails,
        delivery_id: &str,
    ) -> Result<()> {
        let encoded = wire::encode_dead_letter(message, details)?;
        let group = message.ordering_key.as_deref().unwrap_or(message.id.as_str());
        let request = SendMessage {
            queue_url: self.url(),
            message_body: &encoded.body,
            message_attributes: encoded.attributes.iter().map(|(name, value)| (*name, Attribute::of(value))).collect(),
            message_group_id: self.is_fifo().then_some(group),
            message_deduplication_id: self.is_fifo().then_some(delivery_id),
        };
        // A duplicate of a dead letter is better than none.
        let result = self.service.json(JsonApi::SQS, "SendMessage", Safety::Idempotent, &request).await?;
        result.map(drop).map_err(|service_error| self.explain(service_error))
    }

    /// Sends messages whose bodies are JSON. `Ok` means that the queue has stored all; after an error it may have stored some.
    ///
    /// Errors: `NotFound` if the queue does not exist.
    pub(crate) async fn send_all(&self, bodies: &[Bytes]) -> Result<()> {
        let batches = stream::iter(bodies.chunks(BATCH)).map(Ok);
        batches.try_for_each_concurrent(CONCURRENT_REQUESTS, |batch| self.send_batch(batch)).await
    }

    async fn send_batch(&self, bodies: &[Bytes]) -> Result<()> {
        let entry = |(index, body): (usize, &Bytes)| BatchEntry {
            id: index.to_string(),
            message_body: Some(wire::escaped(&String::from_utf8_lossy(body)).into()),
            ..BatchEntry::default()
        };
        let entries = bodies.iter().enumerate().map(entry).collect();
        let BatchAnswer { successful, failed } = self.batch("SendMessageBatch", entries).await?;
        if failed.is_empty() && successful.len() == bodies.len() {
            return Ok(());
        }
        let BatchFailure { code, message, .. } = failed.into_iter().next().unwrap_or_default();
        let (queue, stored, message) = (&self.name, successful.len(), message.unwrap_or_default());
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("the queue `{queue}` stored {stored} of {} messages: {code} {message}", bodies.len()),
        ))
    }

    /// Changes the visibility timeout of up to 10 messages. Failures are only logged: the queue delivers these
    /// messages again after its own visibility timeout.
    pub(crate) async fn change_visibility(&self, messages: &[VisibilityChange]) {
        let mut entries = Vec::with_capacity(messages.len());
        for (index, VisibilityChange { receipt, seconds }) in messages.iter().enumerate() {
            entries.push(BatchEntry::of_receipt(index, receipt, Some(*seconds)));
        }
        let failed = match self.batch("ChangeMessageVisibilityBatch", entries).await {
            Ok(BatchAnswer { failed, .. }) => failed,
            Err(error) => return self.warn(&error),
        };
        for BatchFailure { code, message, .. } in failed {
            let message = message.unwrap_or_default();
            tracing::warn!(
                queue = self.name,
                code,
                message,
                "the visibility of a message cannot be changed: it is delivered again after the queue's own visibility timeout"
            );
        }
    }

    /// A duplicate of a message is better than none, so every batch is repeated.
    async fn batch(&self, operation: &'static str, entries: Vec<BatchEntry<'_>>) -> Result<BatchAnswer> {
        let batch = Batch { queue_url: self.url(), entries };
        let answer = self.service.json(JsonApi::SQS, operation, Safety::Idempotent, &batch).await?;
        let answer = answer.map_err(|service_error| self.explain(service_error))?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Receives up to `limit` messages, and hides them for `lease`, at most 12 hours. Waits a second for messages, without which
    /// SQS may return none although there are some.
    pub(super) async fn receive(&self, limit: usize, lease: Duration, now: SystemTime) -> Result<Vec<Record>> {
        let mut received = Vec::new();
        while received.len() < limit {
            let left = limit - received.len();
            // The first alone, since there may be no message.
            let concurrent = if received.is_empty() { 1 } else { CONCURRENT_REQUESTS };
            let requests = (1..=left.div_ceil(BATCH).min(concurrent)).map(|number| {
                let most = (left + BATCH - number * BATCH).min(BATCH);
                self.receive_batch(most, lease)
            });
            let mut any_empty = false;
            for messages in join_all(requests).await {
                let messages = messages?;
                any_empty |= messages.is_empty();
                for message in messages {
                    received.push(self.record(&message, now)?);
                }
            }
            if any_empty {
                break;
            }
        }
        Ok(received)
    }

    async fn receive_batch(&self, most: usize, lease: Duration) -> Result<Vec<Value>> {
        let input = Receive {
            queue_url: self.url(),
            max_number_of_messages: most,
            visibility_timeout: lease.as_secs().clamp(1, LONGEST_LEASE),
            wait_time_seconds: 1,
            attribute_names: ["All"],
            message_attribute_names: ["All"],
        };
        let answer = self.service.json(JsonApi::SQS, "ReceiveMessage", Safety::Idempotent, &input).await?;
        let answer = answer.map_err(|service_error| self.explain(service_error))?;
        Ok(read_json::<Received>("SQS", &answer)?.messages)
    }

    /// A message of `ReceiveMessage`, which is a record of Lambda with other names.
    fn record(&self, message: &Value, now: SystemTime) -> Result<Record> {
        let record = json!({
            "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
            "attributes": message["Attributes"], "messageAttributes": message["MessageAttributes"],
        });
        let record = record.to_string();
        let fields: Fields<'_> = serde_json::from_str(&record)?;
        Record::read(&fields, self.is_fifo(), now)
    }

    /// Ends the leases of messages: deletes them, or shows them again.
    pub(super) async fn end_leases(&self, receipts: &[&str], delete: bool) -> Vec<Result<()>> {
        let operation = if delete { "DeleteMessageBatch" } else { "ChangeMessageVisibilityBatch" };
        let mut ends = Vec::new();
        for receipts in receipts.chunks(BATCH) {
            let mut entries = Vec::with_capacity(receipts.len());
            for (index, receipt) in receipts.iter().enumerate() {
                entries.push(BatchEntry::of_receipt(index, receipt, (!delete).then_some(0)));
            }
            ends.push(self.batch_results(operation, entries));
        }
        let ends: Vec<_> = stream::iter(ends).buffered(CONCURRENT_REQUESTS).collect().await;
        ends.into_iter().flatten().collect()
    }

    /// Sends messages to this queue, which is of this part of a backlog. Each has its index in the call.
    pub(super) async fn send_messages(
        &self,
        part: BacklogPart,
        messages: &[(usize, &BacklogMessage)],
    ) -> Vec<(usize, Result<()>)> {
        let mut results = Vec::new();
        let mut encoded = Vec::new();
        for (index, sent) in messages {
            let encoding = match part {
                BacklogPart::Waiting => wire::encode(&sent.message, sent.due),
                BacklogPart::Dead => wire::encode_dead_letter(&sent.message, sent.details()),
            };
            match encoding {
                Ok(encoding) => encoded.push((*index, &sent.message, encoding)),
                Err(error) => results.push((*index, Err(error))),
            }
        }
        let size = |(_, _, encoding): &(usize, &Message<Bytes>, EncodedMessage<'_>)| encoding.bytes();
        for batch in batches(&encoded, BATCH, BATCH_BYTES, size) {
            let mut entries = Vec::with_capacity(batch.len());
            for (place, (_, message, encoding)) in batch.iter().enumerate() {
                let attributes = encoding.attributes.iter().map(|(name, value)| (*name, Attribute::of(value)));
                entries.push(BatchEntry {
                    id: place.to_string(),
                    message_body: Some(Cow::Borrowed(&encoding.body)),
                    message_attributes: attributes.collect(),
                    message_group_id: message.ordering_key.as_deref().filter(|_| self.is_fifo()),
                    // Not the id of the message: one that was delivered in the last five minutes must not be dropped.
                    message_deduplication_id: self.is_fifo().then(|| format!("{:032x}", fastrand::u128(..))),
                    ..BatchEntry::default()
                });
            }
            let sent = self.batch_results("SendMessageBatch", entries).await;
            results.extend(batch.iter().map(|(index, ..)| *index).zip(sent));
        }
        results
    }

    /// The result of each entry, in their order.
    async fn batch_results(&self, operation: &'static str, entries: Vec<BatchEntry<'_>>) -> Vec<Result<()>> {
        let count = entries.len();
        let BatchAnswer { successful, failed } = match self.batch(operation, entries).await {
            Ok(answer) => answer,
            Err(error) => return each_failed(&error, count),
        };
        let mut results: BTreeMap<String, Result<()>> = successful.into_iter().map(|it| (it.id, Ok(()))).collect();
        results.extend(failed.into_iter().map(|failure| (failure.id.clone(), Err(self.error_of(failure)))));
        let missing = || Err(Error::internal("SQS returned no result for the message").with_outcome_unknown());
        (0..count).map(|index| results.remove(&index.to_string()).unwrap_or_else(missing)).collect()
    }

    fn error_of(&self, BatchFailure { code, message, .. }: BatchFailure) -> Error {
        let kind = match classify(&code, 0).kind() {
            ErrorKind::Internal => ErrorKind::Unavailable,
            kind => kind,
        };
        Error::new(kind, format!("the queue `{}` returned {code}: {}", self.name, message.unwrap_or_default()))
    }

    pub(super) async fn count(&self) -> Result<QueueCount> {
        let input = GetAttributes { queue_url: self.url(), attribute_names: ["All"] };
        let answer = self.service.json(JsonApi::SQS, "GetQueueAttributes", Safety::Read, &input).await?;
        let answer = answer.map_err(|service_error| self.explain(service_error))?;
        let answer: Value = read_json("SQS", &answer)?;
        let number = |name: &str| {
            let text = answer["Attributes"][format!("ApproximateNumberOfMessages{name}")].as_str();
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Ok(QueueCount { visible: number(""), leased: number("NotVisible"), delayed: number("Delayed") })
    }

    pub(super) fn arn(&self) -> String {
        arn("sqs", self.service.region(), &self.account, &self.name)
    }

    fn warn(&self, error: &Error) {
        tracing::warn!(
            queue = self.name,
            ?error,
            "the visibility of messages cannot be changed: they are delivered again after the queue's own visibility timeout"
        );
    }

    fn explain(&self, service_error: ServiceError) -> Error {
        // The second code is that of the former XML protocol, which emulators still use.
        if ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"].contains(&service_error.code.as_str()) {
            return service_error
                .mark_uncertain(Error::not_found(format!("SQS has no queue `{}`: create it", self.name)));
        }
        service_error.into()
    }
}
