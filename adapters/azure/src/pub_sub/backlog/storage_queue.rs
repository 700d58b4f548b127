//! The backlog in a Storage Queue, and its dead letters in the poison queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::request::Builder;
use http::{Request, Response};
use isobar_abstraction::driver::pub_sub::{
    Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage, PORTABLE_FORM,
};
use isobar_abstraction::driver::{POISON, ResourceKind};
use isobar_abstraction::{Error, Result, clock};
use isobar_rest::Safety;
use isobar_rest::object::encode;
use object_store::PutPayload;
use serde::Deserialize;

use super::super::dead::by_platform;
use super::super::storage_queue::{encoded, send};
use super::super::wire::{PLATFORM_PREFIX, Sending};
use super::super::{CONCURRENCY, service_error};
use super::{arrived, not_paused};
use crate::State;
use crate::config::StorageAccount;
use crate::service::AzureService;

/// The most messages of one request.
const BATCH: usize = 32;

/// The longest time for which a queue hides a message, in seconds.
const LONGEST_LEASE: u64 = 7 * 86_400;

#[derive(Debug)]
pub(super) struct QueueBacklog {
    state: Arc<State>,
    account: StorageAccount,
    queue: String,
    kind: ResourceKind,
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "QueueMessage", default)]
    messages: Vec<Stored>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    message_id: String,
    pop_receipt: String,
    #[serde(default)]
    message_text: String,
    #[serde(default)]
    dequeue_count: u32,
    #[serde(default)]
    insertion_time: String,
}

impl QueueBacklog {
    pub(super) fn new(state: Arc<State>, account: StorageAccount, queue: String, kind: ResourceKind) -> Self {
        Self { state, account, queue, kind }
    }

    fn queue(&self, part: BacklogPart) -> String {
        if part == BacklogPart::Dead { format!("{}{POISON}", self.queue) } else { self.queue.clone() }
    }

    async fn call(
        &self,
        part: BacklogPart,
        operation: &'static str,
        request: impl FnOnce(String) -> Builder,
        rest: &str,
    ) -> Result<Response<Bytes>> {
        let queue = self.queue(part);
        let place = format!("the queue `{queue}` of the storage account `{}`", self.account.name);
        let place = service_error::place(place);
        let service = AzureService::queues(&self.state, &self.account, service_error::read, place);
        let request = request(service.url(&format!("/{queue}{rest}")));
        Ok(service.call(operation, Safety::Idempotent, request, PutPayload::new()).await??)
    }

    async fn count_of(&self, part: BacklogPart) -> Result<Option<u64>> {
        let answer = self.call(part, "GetQueueMetadata", Request::get, "?comp=metadata").await?;
        let count = answer.headers().get("x-ms-approximate-messages-count");
        Ok(count.and_then(|count| count.to_str().ok()?.parse().ok()))
    }

    /// Deletes a message, or shows it again.
    async fn end(&self, part: BacklogPart, receipt: &str, delete: bool) -> Result<()> {
        let wrong = || Error::invalid_input("the receipt is not of this queue");
        let (id, receipt) = receipt.split_once('/').ok_or_else(wrong)?;
        let rest = format!("/messages/{}?popreceipt={}", encode(id), encode(receipt));
        if delete {
            return self.call(part, "DeleteMessage", Request::delete, &rest).await.map(drop);
        }
        self.call(part, "UpdateMessage", Request::put, &format!("{rest}&visibilitytimeout=0")).await.map(drop)
    }

    async fn end_all(&self, part: BacklogPart, receipts: &[String], delete: bool) -> Vec<Result<()>> {
        let ends: Vec<_> = receipts.iter().map(|receipt| self.end(part, receipt, delete)).collect();
        stream::iter(ends).buffered(CONCURRENCY).collect().await
    }

    fn read(&self, part: BacklogPart, stored: Stored) -> LeasedMessage {
        let Stored { message_id, pop_receipt, message_text, dequeue_count, insertion_time } = stored;
        // As the Functions host reads it.
        let body = STANDARD.decode(&message_text).unwrap_or_else(|_| message_text.into_bytes());
        let property = |name: &str, value: &str| (format!("{PLATFORM_PREFIX}{name}"), value.to_owned());
        let properties = vec![property("Id", &message_id), property("InsertionTime", &insertion_time)];
        let mut arrived = arrived(&body, properties, dequeue_count);
        arrived.message.published_at = clock::sent_at(arrived.message.published_at, self.state.clock.now());
        let message = match part {
            BacklogPart::Waiting => BacklogMessage::new(arrived.message),
            BacklogPart::Dead => {
                let details = arrived.details.unwrap_or_else(|| by_platform(&arrived.message, &[]));
                arrived.message.attempt = details.attempts;
                BacklogMessage::new(arrived.message).with_dead(details)
            }
        };
        LeasedMessage::new(message, format!("{message_id}/{pop_receipt}"))
    }

    async fn send_one(&self, part: BacklogPart, sent: &BacklogMessage) -> Result<()> {
        let sending = match part {
            BacklogPart::Waiting => Sending { attempts: sent.attempts(), details: None },
            BacklogPart::Dead => Sending { attempts: 0, details: Some(sent.details()) },
        };
        let text = encoded(&sent.message, sending)?;
        let now = self.state.clock.now();
        let wait = sent.due.filter(|_| part == BacklogPart::Waiting).and_then(|due| due.duration_since(now).ok());
        send(&self.state, &self.account, &self.queue(part), &text, wait).await
    }
}

#[async_trait]
impl Backlog for QueueBacklog {
    fn form(&self) -> &'static str {
        if self.kind == ResourceKind::Bucket { "event-grid" } else { PORTABLE_FORM }
    }

    async fn count(&self) -> Result<BacklogCount> {
        let mut count = BacklogCount::UNKNOWN;
        (count.waiting, count.dead) =
            (self.count_of(BacklogPart::Waiting).await?, self.count_of(BacklogPart::Dead).await?);
        Ok(count)
    }

    async fn lease(&self, part: BacklogPart, limit: usize, lease: Duration) -> Result<Vec<LeasedMessage>> {
        let (mut leased, seconds) = (Vec::new(), lease.as_secs().clamp(1, LONGEST_LEASE));
        while leased.len() < limit {
            let most = (limit - leased.len()).min(BATCH);
            let rest = format!("/messages?numofmessages={most}&visibilitytimeout={seconds}");
            let answer = self.call(part, "GetMessages", Request::get, &rest).await?;
            let wrong = |error| Error::internal("the queue returned malformed XML").with_source(error);
            let list: List = quick_xml::de::from_str(&String::from_utf8_lossy(answer.body())).map_err(wrong)?;
            if list.messages.is_empty() {
                break;
            }
            leased.extend(list.messages.into_iter().map(|stored| self.read(part, stored)));
        }
        Ok(leased)
    }

    async fn acknowledge(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        self.end_all(part, &receipts, true).await
    }

    async fn release(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        self.end_all(part, &receipts, false).await
    }

    async fn send(&self, part: BacklogPart, messages: Vec<BacklogMessage>) -> Vec<Result<()>> {
        let sends: Vec<_> = messages.iter().map(|sent| self.send_one(part, sent)).collect();
        stream::iter(sends).buffered(CONCURRENCY).collect().await
    }

    async fn pause(&self) -> Result<String> {
        Err(not_paused())
    }
}
