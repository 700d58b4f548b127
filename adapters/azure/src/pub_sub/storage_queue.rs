//! Topics in Storage Queues: one queue for each subscription; the publisher sends to all of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use http::Request;
use http::header::CONTENT_TYPE;
use isobar_abstraction::driver::Location;
use isobar_abstraction::driver::pub_sub::{DeadLetterDetails, Message, MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, ErrorKind, Origin, Result};
use isobar_rest::Safety;

use super::service_error;
use super::wire::{Sending, envelope};
use super::{CONCURRENCY, identified};
use crate::State;
use crate::config::{StorageAccount, check_queue};
use crate::service::AzureService;

/// The largest text of a queue's message, in bytes.
///
/// <https://learn.microsoft.com/rest/api/storageservices/put-message>
pub(super) const TEXT_BYTES: usize = 65_536;

/// The largest envelope of a published message, in bytes: a message's text without base64, less the details of a dead
/// letter.
pub(crate) const LARGEST: usize = TEXT_BYTES / 4 * 3 - DeadLetterDetails::REASON_BYTES - 512;

/// The parameter of `azqueue://` with the queues of all subscriptions.
const SUBSCRIPTIONS: &str = "subscriptions";

/// The queues that a publisher sends to: those of `subscriptions=a,b`, or without it the queue itself.
/// Errors: `Config`.
pub(super) fn subscriptions(at: &Location, queue: String) -> Result<Vec<String>> {
    let Some(names) = at.parameter(SUBSCRIPTIONS) else { return Ok(vec![queue]) };
    let mut queues: Vec<String> = Vec::new();
    for name in names.split(',').map(str::trim) {
        check_queue(at, name)?;
        if !queues.iter().any(|queue| queue == name) {
            queues.push(name.to_owned());
        }
    }
    Ok(queues)
}

/// The text of a message to send. Errors: `Unsupported` with an ordering key; `TooLarge`.
pub(super) fn encoded(message: &Message<Bytes>, sending: Sending) -> Result<String> {
    if message.ordering_key.is_some() && sending.details.is_none() {
        let instead = "Storage Queues have no order: place the topic in Service Bus by a URL servicebus://";
        return Err(Error::unsupported("publish", "azure", instead));
    }
    let largest = if sending.details.is_some() { TEXT_BYTES / 4 * 3 } else { LARGEST };
    let envelope = envelope::write(message, sending)?;
    if envelope.len() > largest {
        return Err(too_large(envelope.len()));
    }
    Ok(text(&envelope))
}

/// The text of a queue's message.
pub(super) fn text(envelope: &[u8]) -> String {
    STANDARD.encode(envelope)
}

/// A topic in queues of a storage account.
#[derive(Debug)]
pub(crate) struct QueuePubSub {
    state: Arc<State>,
    account: StorageAccount,
    queues: Vec<String>,
}

impl QueuePubSub {
    pub(crate) fn new(state: Arc<State>, account: StorageAccount, queues: Vec<String>) -> Self {
        Self { state, account, queues }
    }

    /// Sends one message to all queues, visible after `wait`. Where only some of them stored it, the outcome is unknown.
    async fn send(&self, message: &Message<Bytes>, wait: Option<Duration>) -> Result<MessageId> {
        let text = encoded(message, Sending::default())?;
        let sends = self.queues.iter().map(|queue| send(&self.state, &self.account, queue, &text, wait));
        let sent = join_all(sends).await;
        let some = sent.iter().any(Result::is_ok);
        let unknown = |error: Error| if some { error.with_outcome_unknown() } else { error };
        // Of several errors any one is returned, but an unknown outcome takes precedence.
        let worst = sent.into_iter().filter_map(Result::err).max_by_key(Error::outcome_unknown);
        worst.map_or_else(|| Ok(message.id.clone()), |error| Err(unknown(error)))
    }
}

/// Sends a message that never expires, and that becomes visible after `after`. The service allows up to seven days; the
/// profile's limit is shorter.
///
/// Idempotent: a repetition may be delivered twice, with the same id, which at-least-once delivery allows.
/// Errors: those of the service; `outcome_unknown` where the message may have been stored.
///
/// <https://learn.microsoft.com/rest/api/storageservices/put-message>
pub(super) async fn send(
    state: &Arc<State>,
    account: &StorageAccount,
    queue: &str,
    text: &str,
    after: Option<Duration>,
) -> Result<()> {
    let place = format!("the queue `{queue}` of the storage account `{}`", account.name);
    let service = AzureService::queues(state, account, service_error::read, service_error::place(place));
    let seconds = after.map(|after| after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)));
    let wait = seconds.map(|seconds| format!("&visibilitytimeout={seconds}")).unwrap_or_default();
    let request = Request::post(service.url(&format!("/{queue}/messages?messagettl=-1{wait}")))
        .header(CONTENT_TYPE, "application/xml");
    let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
    Ok(service.call("PutMessage", Safety::Idempotent, request, body).await?.map(drop)?)
}

fn too_large(size: usize) -> Error {
    let limit = LARGEST as u64;
    let message = format!(
        "the message with its envelope is {size} bytes and the limit of Storage Queues is {limit}, less than the \
         portable one: place the topic in Service Bus by a URL servicebus://, or store the data in a bucket and send its \
         key"
    );
    Error::new(ErrorKind::TooLarge, message).with_limit(limit).with_origin(Origin::Request)
}

#[async_trait]
impl PubSub for QueuePubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.state.clock.now();
        let wait = |raw: &RawMessage| raw.due.and_then(|due| due.duration_since(now).ok());
        let messages: Vec<_> = messages.into_iter().map(|raw| (wait(&raw), identified(raw, now))).collect();
        let sends: Vec<_> = messages.iter().map(|(wait, message)| self.send(message, *wait)).collect();
        stream::iter(sends).buffered(CONCURRENCY).collect().await
    }
}
