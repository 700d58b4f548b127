//! A queue in SQS: sending to it, and putting off what Lambda took from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use isobar_abstraction::driver::Derived;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Safety, ServiceError};
use serde::{Deserialize, Serialize};

use super::FIFO;
use super::wire;
use crate::State;
use crate::service::AwsService;

/// A queue in SQS.
#[derive(Debug, Clone)]
pub(crate) struct SqsQueue {
    service: AwsService,
    account: String,
    name: String,
}

/// One message whose delivery is put off.
#[derive(Debug, Clone)]
pub(crate) struct PutOff {
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
    entries: Vec<Visibility<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Visibility<'a> {
    id: String,
    receipt_handle: &'a str,
    visibility_timeout: u32,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BatchAnswer {
    failed: Vec<BatchFailure>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BatchFailure {
    code: String,
    message: Option<String>,
}

impl SqsQueue {
    /// The queue of this name, which is not asked whether it exists. Errors: `Config`.
    pub(crate) fn new(state: &Arc<State>, region: Option<&str>, account: &str, name: &str) -> Result<Self> {
        let service = AwsService::new(Arc::clone(state), "sqs", region)?;
        Ok(Self { service, account: account.to_owned(), name: name.to_owned() })
    }

    /// The queue of the dead letters of this one.
    pub(crate) fn dead(&self) -> Self {
        let name = match self.name.strip_suffix(FIFO) {
            Some(name) => Derived::DeadLetters.of(name) + FIFO,
            None => Derived::DeadLetters.of(&self.name),
        };
        Self { name, ..self.clone() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Do its messages have groups, in which they are ordered?
    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO)
    }

    fn url(&self) -> String {
        format!("{}/{}/{}", self.service.endpoint(), self.account, self.name)
    }

    /// Sends a dead letter. `unique` is the id of the delivery that it comes from: a FIFO queue takes
    /// a second one with the same for a repeat, within five minutes.
    ///
    /// Errors: `NotFound` where there is no such queue.
    pub(crate) async fn send_dead(
        &self,
        message: &Message<Bytes>,
        details: DeadLetterDetails,
        unique: &str,
    ) -> Result<()> {
        let carried = wire::encode(message, Some(details))?;
        let attribute = |value| Attribute { data_type: "String", string_value: value };
        let group = message.ordering_key.as_deref().unwrap_or(message.id.as_str());
        let request = SendMessage {
            queue_url: self.url(),
            message_body: &carried.body,
            message_attributes: carried.attributes.iter().map(|(name, value)| (*name, attribute(value))).collect(),
            message_group_id: self.is_fifo().then_some(group),
            message_deduplication_id: self.is_fifo().then_some(unique),
        };
        // Twice the same dead letter is better than none.
        let sent = self.service.json("AmazonSQS", "SendMessage", Safety::Idempotent, &request).await?;
        sent.map(drop).map_err(|service_error| self.explain(service_error))
    }

    /// Puts off the next delivery of up to 10 messages. What fails is only logged: they come again
    /// when the queue's own visibility timeout has passed.
    pub(crate) async fn put_off(&self, messages: &[PutOff]) {
        let mut entries = Vec::with_capacity(messages.len());
        for (place, PutOff { receipt, seconds }) in messages.iter().enumerate() {
            entries.push(Visibility { id: place.to_string(), receipt_handle: receipt, visibility_timeout: *seconds });
        }
        let request = ChangeVisibility { queue_url: self.url(), entries };
        let operation = "ChangeMessageVisibilityBatch";
        let failed = match self.service.json("AmazonSQS", operation, Safety::Idempotent, &request).await {
            Ok(Ok(answer)) => serde_json::from_slice::<BatchAnswer>(&answer).unwrap_or_default().failed,
            Ok(Err(service_error)) => return self.warn(&self.explain(service_error)),
            Err(error) => return self.warn(&error),
        };
        for BatchFailure { code, message } in failed {
            let message = message.unwrap_or_default();
            tracing::warn!(queue = self.name, code, message, "a message waits as long as its queue says");
        }
    }

    fn warn(&self, error: &Error) {
        tracing::warn!(queue = self.name, ?error, "messages wait as long as their queue says");
    }

    fn explain(&self, service_error: ServiceError) -> Error {
        // The second is what the service was called when it spoke XML; emulators still do.
        if ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"].contains(&service_error.code.as_str()) {
            return service_error.as_error(Error::not_found(format!("SQS has no queue `{}`: create it", self.name)));
        }
        service_error.into()
    }
}
