//! The backlog in a subscription of Service Bus, over REST.
//!
//! REST has no sessions: a message with an ordering key, which is in a subscription with sessions, is sent and counted, and
//! never leased. Its deliveries are only for the Functions host.
//!
//! <https://learn.microsoft.com/rest/api/servicebus/service-bus-runtime-rest>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use http::request::Builder;
use http::{Request, Response, StatusCode};
use isobar_abstraction::driver::Derived;
use isobar_abstraction::driver::pub_sub::{
    Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage, each_failed,
};
use isobar_abstraction::{Error, Result, clock};
use isobar_rest::Safety;
use isobar_rest::object::encode;
use object_store::PutPayload;
use serde_json::Value;

use super::super::dead::by_platform;
use super::super::service_bus::{Entry, Extra, ServiceBusPubSub, send_one};
use super::super::wire::{PLATFORM_PREFIX, Sending};
use super::super::{CONCURRENCY, service_error};
use super::{arrived, not_paused};
use crate::State;
use crate::config::ServiceBusNamespace;
use crate::service::{AzureService, element};

/// The version of the protocol that reads the counts.
const COUNTS: &str = "?api-version=2021-05";

#[derive(Debug)]
pub(super) struct BusBacklog {
    state: Arc<State>,
    namespace: ServiceBusNamespace,
    topic: String,
    subscription: String,
}

/// The counts of a subscription or a queue.
#[derive(Default)]
struct EntityCount {
    active: u64,
    scheduled: u64,
    /// Messages that Service Bus itself moved to the dead letters of the entity.
    dead: u64,
}

impl BusBacklog {
    pub(super) fn new(state: Arc<State>, namespace: ServiceBusNamespace, topic: String, subscription: String) -> Self {
        Self { state, namespace, topic, subscription }
    }

    fn entity(&self, part: BacklogPart) -> String {
        match part {
            BacklogPart::Waiting => format!("{}/subscriptions/{}", self.topic, self.subscription),
            BacklogPart::Dead => Derived::DeadLetters.of(&self.subscription),
        }
    }

    async fn call(
        &self,
        entity: &str,
        operation: &'static str,
        request: impl FnOnce(String) -> Builder,
        rest: &str,
    ) -> Result<Response<Bytes>> {
        let place = service_error::place(format!("`{entity}` of Service Bus"));
        let service = AzureService::service_bus(&self.state, &self.namespace, service_error::read, place);
        let request = request(service.url(&format!("/{entity}{rest}")));
        Ok(service.call(operation, Safety::Idempotent, request, PutPayload::new()).await??)
    }

    async fn count_of(&self, entity: &str) -> Result<EntityCount> {
        let answer = self.call(entity, "GetEntity", Request::get, COUNTS).await?;
        let text = String::from_utf8_lossy(answer.body());
        let number = |name: &str| element(&text, name).and_then(|text| text.parse().ok());
        let unknown = || Error::internal(format!("Service Bus returned no counts of `{entity}`"));
        Ok(EntityCount {
            active: number("ActiveMessageCount").ok_or_else(unknown)?,
            scheduled: number("ScheduledMessageCount").unwrap_or_default(),
            dead: number("DeadLetterMessageCount").unwrap_or_default(),
        })
    }

    /// Locks one message. `None` where there is none.
    async fn lock(&self, part: BacklogPart) -> Result<Option<LeasedMessage>> {
        let entity = self.entity(part);
        let answer = self.call(&entity, "PeekLockMessage", Request::post, "/messages/head?timeout=1").await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let broker = answer.headers().get("brokerproperties").and_then(|it| serde_json::from_slice(it.as_bytes()).ok());
        let broker: Value = broker.ok_or_else(|| Error::internal("Service Bus returned no BrokerProperties"))?;
        let mut properties = properties(&answer);
        for name in ["MessageId", "SessionId", "EnqueuedTimeUtc"] {
            let value = broker[name].as_str();
            properties.extend(value.map(|value| (format!("{PLATFORM_PREFIX}{name}"), value.to_owned())));
        }
        let reasons: Vec<String> = properties
            .extract_if(.., |(name, _)| ["deadletterreason", "deadlettererrordescription"].contains(&name.as_str()))
            .map(|(_, value)| value)
            .collect();
        let attempt = broker["DeliveryCount"].as_u64().and_then(|count| u32::try_from(count).ok());
        let mut arrived = arrived(answer.body(), properties, attempt.unwrap_or(1));
        arrived.message.published_at = clock::sent_at(arrived.message.published_at, self.state.clock.now());
        let message = match part {
            BacklogPart::Waiting => BacklogMessage::new(arrived.message),
            BacklogPart::Dead => {
                let details = arrived.details.unwrap_or_else(|| by_platform(&arrived.message, &reasons));
                arrived.message.attempt = details.attempts;
                BacklogMessage::new(arrived.message).with_dead(details)
            }
        };
        let lock = broker["LockToken"].as_str().unwrap_or_default();
        Ok(Some(LeasedMessage::new(message, format!("{}/{lock}", broker["SequenceNumber"]))))
    }

    /// Completes or unlocks a message.
    async fn end(&self, part: BacklogPart, receipt: &str, complete: bool) -> Result<()> {
        let wrong = || Error::invalid_input("the receipt is not of this queue");
        let (sequence, lock) = receipt.split_once('/').ok_or_else(wrong)?;
        let (entity, rest) = (self.entity(part), format!("/messages/{}/{}", encode(sequence), encode(lock)));
        match complete {
            true => self.call(&entity, "DeleteMessage", Request::delete, &rest).await.map(drop),
            false => self.call(&entity, "UnlockMessage", Request::put, &rest).await.map(drop),
        }
    }

    async fn end_all(&self, part: BacklogPart, receipts: &[String], complete: bool) -> Vec<Result<()>> {
        let ends: Vec<_> = receipts.iter().map(|receipt| self.end(part, receipt, complete)).collect();
        stream::iter(ends).buffered(CONCURRENCY).collect().await
    }

    /// Each with an id of its own in Service Bus: one of a message that was delivered before must not be dropped as a duplicate.
    fn entry<'a>(&self, part: BacklogPart, sent: &'a BacklogMessage) -> Result<Entry<'a>> {
        let (sending, not_before) = match part {
            BacklogPart::Waiting => (Sending { attempts: sent.attempts(), details: None }, sent.due),
            BacklogPart::Dead => (Sending { attempts: 0, details: Some(sent.details()) }, None),
        };
        let extra = Extra {
            only_for: Some(&self.subscription),
            id_suffix: Some(format!("~{:016x}", fastrand::u64(..))),
            not_before,
            unordered: part == BacklogPart::Dead,
        };
        Entry::new(&sent.message, sending, &extra)
    }
}

/// The user properties of a message: headers whose values are in quotes.
fn properties(answer: &Response<Bytes>) -> Vec<(String, String)> {
    let property = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let text = value.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')?;
        // Whether the service escapes quotes inside of a value is not documented.
        let unescaped = serde_json::from_str(value.to_str().ok()?);
        Some((name.as_str().to_owned(), unescaped.unwrap_or_else(|_| text.to_owned())))
    };
    answer.headers().iter().filter_map(property).collect()
}

#[async_trait]
impl Backlog for BusBacklog {
    /// Needs the claim `Manage`. Locked messages count as waiting.
    async fn count(&self) -> Result<BacklogCount> {
        let plain = self.count_of(&self.entity(BacklogPart::Waiting)).await?;
        let ordered = format!("{}/subscriptions/{}", Derived::Ordered.of(&self.topic), self.subscription);
        let ordered = self.count_of(&ordered).await?;
        let dead = self.count_of(&self.entity(BacklogPart::Dead)).await?;
        let mut count = BacklogCount::UNKNOWN;
        (count.waiting, count.delayed, count.dead) = (Some(plain.active), Some(plain.scheduled), Some(dead.active));
        count.unreachable = ordered.active + ordered.scheduled + plain.dead + ordered.dead + dead.dead;
        Ok(count)
    }

    async fn lease(&self, part: BacklogPart, limit: usize, _: Duration) -> Result<Vec<LeasedMessage>> {
        let mut leased = Vec::new();
        while leased.len() < limit {
            let locks = (leased.len()..limit).take(CONCURRENCY).map(|_| self.lock(part));
            let mut any_empty = false;
            for locked in join_all(locks).await {
                match locked? {
                    Some(message) => leased.push(message),
                    None => any_empty = true,
                }
            }
            if any_empty {
                break;
            }
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
        let entries: Result<Vec<_>> = messages.iter().map(|sent| self.entry(part, sent)).collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return each_failed(&error, messages.len()),
        };
        if part == BacklogPart::Dead {
            let entity = self.entity(part);
            let sends: Vec<_> =
                entries.iter().map(|entry| send_one(&self.state, &self.namespace, &entity, entry)).collect();
            return stream::iter(sends).buffered(CONCURRENCY).collect().await;
        }
        let topic = ServiceBusPubSub::new(Arc::clone(&self.state), self.namespace.clone(), self.topic.clone());
        topic.publish_entries(&entries).await
    }

    async fn pause(&self) -> Result<String> {
        Err(not_paused())
    }
}
