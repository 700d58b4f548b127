//! Topics of Service Bus.

mod outgoing;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use isobar_abstraction::driver::Derived;
use isobar_abstraction::driver::pub_sub::{MessageId, PubSub, RawMessage};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::{Safety, ServiceResult};

use super::service_error::{self, is_of_content};
use super::wire::Sending;
use super::{CONCURRENCY, identified};
use crate::State;
use crate::config::ServiceBusNamespace;
use crate::service::AzureService;
pub(super) use outgoing::{Entry, Extra};

/// A topic of Service Bus, and a second topic for messages with an ordering key, whose subscriptions require sessions: a
/// subscription with sessions accepts no message without one.
///
/// <https://learn.microsoft.com/azure/service-bus-messaging/message-sessions>
#[derive(Debug)]
pub(crate) struct ServiceBusPubSub {
    state: Arc<State>,
    namespace: ServiceBusNamespace,
    topic: String,
}

impl ServiceBusPubSub {
    pub(crate) fn new(state: Arc<State>, namespace: ServiceBusNamespace, topic: String) -> Self {
        Self { state, namespace, topic }
    }

    /// Sends messages to the topic, and those with an ordering key to the second one.
    pub(super) async fn publish_entries(&self, entries: &[Entry<'_>]) -> Vec<Result<()>> {
        let (keyed, plain): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.session.is_some());
        let (plain, keyed) = join(self.send(&plain), self.send_in_order(&keyed)).await;
        let (mut plain, mut keyed) = (plain.into_iter(), keyed.into_iter());
        let result = |entry: &Entry<'_>| if entry.session.is_some() { keyed.next() } else { plain.next() };
        entries.iter().map(result).map(|sent| sent.unwrap_or_else(left_out)).collect()
    }

    /// Sends messages without an ordering key, with concurrent requests.
    async fn send(&self, entries: &[&Entry<'_>]) -> Vec<Result<()>> {
        let sends: Vec<_> = outgoing::split(entries).into_iter().map(|batch| self.send_batch(batch)).collect();
        let sent: Vec<_> = stream::iter(sends).buffered(CONCURRENCY).collect().await;
        sent.into_iter().flatten().collect()
    }

    /// Sends messages with a key, one request after the other: a request is stored as a whole and in its order. After a
    /// failed message, later messages with the same key are not sent.
    async fn send_in_order(&self, entries: &[&Entry<'_>]) -> Vec<Result<()>> {
        let topic = Derived::Ordered.of(&self.topic);
        let mut results = Vec::with_capacity(entries.len());
        let mut failed: HashMap<&str, ErrorKind> = HashMap::new();
        let mut batches = VecDeque::from(outgoing::split(entries));
        while let Some(batch) = batches.pop_front() {
            let held: Vec<_> = batch.iter().map(|entry| failed.get(entry.key()).copied()).collect();
            let free = batch.iter().zip(&held).filter(|(_, held)| held.is_none()).map(|(entry, _)| *entry);
            let Attempt::Done(sent) = self.request(&topic, &free.collect::<Vec<_>>()).await else {
                batch.chunks(1).rev().for_each(|alone| batches.push_front(alone));
                continue;
            };
            let mut sent = sent.into_iter();
            for (entry, held) in batch.iter().zip(held) {
                let result = held.map_or_else(|| sent.next().unwrap_or_else(left_out), |kind| Err(held_back(kind)));
                if let Err(error) = &result {
                    failed.entry(entry.key()).or_insert(error.kind());
                }
                results.push(result);
            }
        }
        results
    }

    /// Sends a batch, which Service Bus stores as a whole. Where one invalid message may have failed it, each message is
    /// sent alone.
    async fn send_batch(&self, batch: &[&Entry<'_>]) -> Vec<Result<()>> {
        match self.request(&self.topic, batch).await {
            Attempt::Done(results) => results,
            Attempt::EachAlone => {
                let alone = batch.iter().map(|entry| self.request(&self.topic, std::slice::from_ref(entry)));
                let alone: Vec<_> = stream::iter(alone.collect::<Vec<_>>()).buffered(CONCURRENCY).collect().await;
                alone.into_iter().flat_map(Attempt::results).collect()
            }
        }
    }

    /// Sends one request. Idempotent: a repetition may be delivered twice, with the same id, which at-least-once delivery
    /// allows.
    async fn request(&self, topic: &str, batch: &[&Entry<'_>]) -> Attempt {
        if batch.is_empty() {
            return Attempt::Done(Vec::new());
        }
        let of = if topic == self.topic { "" } else { ", for messages with an ordering key," };
        let place = format!("the topic `{topic}` of Service Bus{of}");
        let error = match send(&self.state, &self.namespace, topic, place, outgoing::body(batch)).await {
            Ok(Ok(_)) => return Attempt::Done(batch.iter().map(|_| Ok(())).collect()),
            Ok(Err(service_error)) if batch.len() > 1 && is_of_content(&service_error) && !service_error.uncertain => {
                return Attempt::EachAlone;
            }
            Ok(Err(service_error)) => service_error.into(),
            Err(error) => error,
        };
        Attempt::Done(batch.iter().map(|_| Err(error.clone())).collect())
    }
}

/// Sends messages to a topic or a queue, all or none.
async fn send(
    state: &Arc<State>,
    namespace: &ServiceBusNamespace,
    entity: &str,
    place: String,
    body: Bytes,
) -> Result<ServiceResult<Response<Bytes>>> {
    let service = AzureService::service_bus(state, namespace, service_error::read, service_error::place(place));
    let request = Request::post(service.url(&format!("/{entity}/messages")))
        .header(CONTENT_TYPE, "application/vnd.microsoft.servicebus.json");
    service.call("SendMessageBatch", Safety::Idempotent, request, body).await
}

/// Sends one message to a topic or a queue.
pub(super) async fn send_one(
    state: &Arc<State>,
    namespace: &ServiceBusNamespace,
    entity: &str,
    entry: &Entry<'_>,
) -> Result<()> {
    let place = format!("`{entity}` of Service Bus");
    Ok(send(state, namespace, entity, place, outgoing::body(&[entry])).await?.map(drop)?)
}

enum Attempt {
    Done(Vec<Result<()>>),
    /// Nothing was stored, possibly because of only one of the messages.
    EachAlone,
}

impl Attempt {
    fn results(self) -> Vec<Result<()>> {
        match self {
            Self::Done(results) => results,
            Self::EachAlone => Vec::new(),
        }
    }
}

fn left_out() -> Result<()> {
    Err(Error::internal("bug in isobar: no request contained the message; please report it"))
}

fn held_back(kind: ErrorKind) -> Error {
    Error::new(kind, "not sent, since an earlier message of its ordering key failed")
}

#[async_trait]
impl PubSub for ServiceBusPubSub {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let now = self.state.clock.now();
        let dues: Vec<_> = messages.iter().map(|raw| raw.due).collect();
        let messages: Vec<_> = messages.into_iter().map(|raw| identified(raw, now)).collect();
        let entry = |(message, due): (_, &Option<SystemTime>)| {
            Entry::new(message, Sending::default(), &Extra { not_before: *due, ..Extra::default() })
        };
        let entries: Result<Vec<_>> = messages.iter().zip(&dues).map(entry).collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let sent = self.publish_entries(&entries).await;
        messages.iter().zip(sent).map(|(message, sent)| sent.map(|()| message.id.clone())).collect()
    }
}
