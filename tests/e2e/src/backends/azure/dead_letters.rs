//! Dead letters of both services: of a Storage Queue in its poison queue, of Service Bus in a queue that isobar names.

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use isobar::driver::{Derived, POISON, ResourceKind};
use isobar::pub_sub::DeadLetter;
use isobar::{Error, EventQueue, Result};
use serde_json::Value;

use super::account::{Account, AnyMessage, storage_queue};
use super::service_bus::{Delivery, Sent, ServiceBus};
use crate::backends::dead_letters::{DeadLetterQueues, Stored};
use crate::backends::provisioned::Deployment;

#[async_trait]
impl DeadLetterQueues for Account {
    type Message = AnyMessage;

    fn stored(&self) -> &Stored<AnyMessage> {
        &self.dead_letters
    }

    fn dead_letter_queues(&self, queue: &EventQueue) -> Vec<(String, String)> {
        let name = self.physical(queue.source());
        vec![match queue.kind() {
            ResourceKind::Topic if self.is_full() => (Derived::DeadLetters.of(&queue.physical(&name)), name),
            _ => {
                let place = storage_queue(queue, &name);
                (format!("{place}{POISON}"), place)
            }
        }]
    }

    async fn drain(&self, queue: &str) -> Result<Vec<AnyMessage>> {
        let mut all = Vec::new();
        if !queue.ends_with(POISON) {
            while let Some(message) = self.bus.receive(queue) {
                self.bus.complete(&message);
                all.push(AnyMessage::Delivered(message));
            }
            return Ok(all);
        }
        loop {
            let messages = self.storage.receive(queue, 60).await?;
            for message in &messages {
                self.storage.delete(queue, &message.id, &message.receipt).await?;
            }
            match messages.is_empty() {
                true => return Ok(all),
                false => all.extend(messages.into_iter().map(AnyMessage::Queued)),
            }
        }
    }

    fn dead_letter(message: &AnyMessage) -> Result<DeadLetter> {
        match message {
            AnyMessage::Queued(message) => {
                let text = BASE64_STANDARD.decode(&message.text).unwrap_or_else(|_| message.text.clone().into_bytes());
                isobar_azure::dead_letter(&text, [])
            }
            AnyMessage::Delivered(message) => isobar_azure::dead_letter(&message.body, message.properties.clone()),
        }
    }

    async fn send_again(&self, to: &str, message: &AnyMessage) -> Result<()> {
        match message {
            AnyMessage::Queued(message) => self.storage.send(to, &message.text).await,
            AnyMessage::Delivered(message) => publish_again(&self.bus, to, message),
        }
    }
}

/// As Service Bus's own redrive does; a message with an ordering key goes to the second topic, which keeps the order.
fn publish_again(bus: &ServiceBus, topic: &str, message: &Delivery) -> Result<()> {
    let meta = message.properties.get("isobar-meta");
    let meta: Value = meta.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let session = meta["key"].as_str().map(str::to_owned);
    let topic = if session.is_some() { Derived::Ordered.of(topic) } else { topic.to_owned() };
    let (body, properties) = (message.body.clone(), message.properties.clone());
    let again = Sent { body, properties, id: format!("{}-again", message.id), session, scheduled: None };
    if bus.send(&topic, again) { Ok(()) } else { Err(Error::internal(format!("Service Bus has no topic `{topic}`"))) }
}
