//! A queue in SQS: sends dead letters and the keys of writes, and changes the visibility of messages that Lambda received.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use isobar_abstraction::driver::Derived;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::wire;
use super::{CONCURRENT_REQUESTS, FIFO};
use crate::State;
use crate::service::{AwsService, JsonApi};

/// The most messages in one request.
pub(crate) const BATCH: usize = 10;

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

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeVisibility<'a> {
    queue_url: String,
    entries: Vec<VisibilityEntry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VisibilityEntry<'a> {
    id: String,
    receipt_handle: &'a str,
    visibility_timeout: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessages {
    queue_url: String,
    entries: Vec<SendEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    id: String,
    message_body: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BatchAnswer {
    successful: Vec<IgnoredAny>,
    failed: Vec<BatchFailure>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BatchFailure {
    code: String,
    message: Option<String>,
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
        let attribute = |value| Attribute { data_type: "String", string_value: value };
        let group = message.ordering_key.as_deref().unwrap_or(message.id.as_str());
        let request = SendMessage {
            queue_url: self.url(),
            message_body: &encoded.body,
            message_attributes: encoded.attributes.iter().map(|(name, value)| (*name, attribute(value))).collect(),
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
        let entry = |(index, body): (usize, &Bytes)| SendEntry {
            id: index.to_string(),
            message_body: wire::escaped(&String::from_utf8_lossy(body)),
        };
        let entries = bodies.iter().enumerate().map(entry).collect();
        let request = SendMessages { queue_url: self.url(), entries };
        // A duplicate of a message is better than none.
        let answer = self.service.json(JsonApi::SQS, "SendMessageBatch", Safety::Idempotent, &request).await?;
        let answer = answer.map_err(|service_error| self.explain(service_error))?;
        let BatchAnswer { successful, failed } = serde_json::from_slice(&answer).unwrap_or_default();
        if failed.is_empty() && successful.len() == bodies.len() {
            return Ok(());
        }
        let BatchFailure { code, message } = failed.into_iter().next().unwrap_or_default();
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
            entries.push(VisibilityEntry {
                id: index.to_string(),
                receipt_handle: receipt,
                visibility_timeout: *seconds,
            });
        }
        let request = ChangeVisibility { queue_url: self.url(), entries };
        let operation = "ChangeMessageVisibilityBatch";
        let failed = match self.service.json(JsonApi::SQS, operation, Safety::Idempotent, &request).await {
            Ok(Ok(answer)) => serde_json::from_slice::<BatchAnswer>(&answer).unwrap_or_default().failed,
            Ok(Err(service_error)) => return self.warn(&self.explain(service_error)),
            Err(error) => return self.warn(&error),
        };
        for BatchFailure { code, message } in failed {
            let message = message.unwrap_or_default();
            tracing::warn!(
                queue = self.name,
                code,
                message,
                "the visibility of a message cannot be changed: it is delivered again after the queue's own visibility timeout"
            );
        }
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
