//! **A double**, made by isobar, of what the Functions host does for triggers: it receives messages from the queues of
//! the functions' bindings, calls the functions, and completes or abandons each message by the response; it reads the feeds of
//! tables; and it fires timers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::Request;
use isobar::clock::to_rfc3339;
use isobar::driver::{Clock, POISON};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Error, EventQueue, Result, TestResponse};

use isobar_azure::AzureProvider;

use super::account::Account;
use super::feed::Feeds;
use super::host::Host;
use super::service_bus::Delivery;
use super::storage;
use crate::backends::aging::Aging;
use crate::backends::dead_letters;
use crate::backends::pause::PauseClock;
use crate::functions_host::{FunctionsHost, Queued, ServiceBusMessage, Trigger};
use isobar_conformance::{HarnessResult, RunningApp};

/// How long the host hides a message while it is handled.
const VISIBILITY: Duration = Duration::from_secs(600);

/// `maxDequeueCount` of host.json.
const MOST_DELIVERIES: u32 = 5;

/// Messages of a queue that are handled at the same time: `batchSize` of host.json.
const BATCH: usize = 16;

/// An app behind the Functions host.
#[derive(Debug)]
pub struct AzureApp {
    pub(super) host: Host,
    pub(super) provider: AzureProvider,
    pub(super) manifest: Arc<Manifest>,
    pub(super) account: Arc<Account>,
    pub(super) clock: PauseClock,
    /// Only where the app's clock is the machine's.
    pub(super) aging: Option<Aging>,
}

impl AzureApp {
    /// The host of the app's process, where the app is deployed.
    pub fn functions_host(&self) -> Option<&FunctionsHost> {
        match &self.host {
            Host::Process(host) => Some(host),
            Host::Here { .. } => None,
        }
    }

    /// Polls a storage queue once. Returns whether there were messages.
    async fn poll_queue(&self, trigger: Trigger<'_>) -> Result<bool> {
        let queue = trigger.text("queueName").unwrap_or_default();
        let messages = self.account.queues.receive(queue, VISIBILITY).await?;
        let handled = messages.iter().map(|message| self.handle_queued(trigger, queue, message)).collect::<Vec<_>>();
        let handled: Vec<_> = stream::iter(handled).buffer_unordered(BATCH).collect().await;
        handled.into_iter().collect::<Result<()>>()?;
        Ok(!messages.is_empty())
    }

    async fn handle_queued(&self, trigger: Trigger<'_>, queue: &str, message: &storage::Queued) -> Result<()> {
        let storage::Queued { id, receipt, text, count, inserted } = message.clone();
        let call = trigger.queue_message(&Queued { id, receipt, text, dequeue_count: count, inserted });
        let handled = match call {
            Ok(call) => self.host.call(&call).await.map(drop),
            Err(error) => Err(error),
        };
        match handled {
            Err(_) if message.count < MOST_DELIVERIES => {
                self.account.queues.release(message);
                return Ok(());
            }
            Err(_) => self.account.storage.send(&format!("{queue}{POISON}"), &message.text).await?,
            Ok(()) => {}
        }
        self.account.queues.delete(queue, message).await
    }

    /// Polls a subscription of Service Bus once. Returns whether there were messages.
    async fn poll_subscription(&self, trigger: Trigger<'_>) -> bool {
        let text = |name| trigger.text(name).unwrap_or_default();
        let path = format!("{}/subscriptions/{}", text("topicName"), text("subscriptionName"));
        let mut messages = Vec::new();
        while messages.len() < BATCH
            && let Some(message) = self.account.bus.receive(&path)
        {
            messages.push(message);
            // The clock reports the pause of one delayed response at a time.
            if trigger.binding["isSessionsEnabled"] == true {
                break;
            }
        }
        let handled = messages.iter().map(|message| self.handle_delivered(trigger, message)).collect::<Vec<_>>();
        stream::iter(handled).buffer_unordered(BATCH).collect::<Vec<()>>().await;
        !messages.is_empty()
    }

    async fn handle_delivered(&self, trigger: Trigger<'_>, delivery: &Delivery) {
        self.clock.take_pause();
        match self.host.call(&trigger.service_bus_message(&message(delivery))).await {
            Ok(_) => self.account.bus.complete(delivery),
            Err(_) => self.account.bus.abandon(delivery, self.clock.take_pause()),
        };
    }

    /// Reads the feed of a container once. Returns whether a call succeeded.
    ///
    /// A failed call moves the position too, unless the function has a retry policy without an end: so does
    /// `ProcessChangesAsync` in
    /// <https://github.com/Azure/azure-webjobs-sdk-extensions/blob/dev/src/WebJobs.Extensions.CosmosDB/Trigger/CosmosDBTriggerListener.cs>.
    async fn poll_feed(&self, trigger: Trigger<'_>, feeds: &Feeds) -> Result<bool> {
        if self.host.files().host["extensions"]["cosmosDB"]["serializerSettings"]["dateParseHandling"] != "None" {
            return Err(Error::config(
                "the trigger would rewrite texts that look like times, which this double does not do",
            ));
        }
        let mut any = false;
        for part in feeds.read(trigger.text("containerName").unwrap_or_default()).await? {
            let handled = self.host.call(&trigger.documents(&part.documents)).await.is_ok();
            any |= handled;
            if handled || trigger.retry["maxRetryCount"] != -1 {
                feeds.acknowledge(part);
            }
        }
        Ok(any)
    }

    /// Polls all sources once. Returns whether there were messages.
    async fn poll(&self) -> Result<bool> {
        let mut any = false;
        for trigger in self.host.files().triggers() {
            any |= match (trigger.text("type"), &self.account.feeds) {
                (Some("serviceBusTrigger"), _) => self.poll_subscription(trigger).await,
                (Some("queueTrigger"), _) => self.poll_queue(trigger).await?,
                (Some("cosmosDBTrigger"), Some(feeds)) => self.poll_feed(trigger, feeds).await?,
                _ => false,
            };
        }
        Ok(any)
    }
}

fn message(delivery: &Delivery) -> ServiceBusMessage {
    ServiceBusMessage {
        id: delivery.id.clone(),
        lock: delivery.lock.clone(),
        body: delivery.body.clone(),
        delivery_count: delivery.count,
        sequence: delivery.sequence,
        session: delivery.session.clone(),
        enqueued: to_rfc3339(delivery.enqueued),
        properties: delivery.properties.clone().into_iter().collect(),
    }
}

#[async_trait]
impl RunningApp for AzureApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        if let Some(aging) = &self.aging {
            aging.catch_up(&self.manifest).await?;
        }
        Ok(self.host.http(request).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.host.invoke(function, payload).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let due = to_rfc3339(self.clock.now());
        let call = self.host.call_of(&format!("schedule-{schedule}"), |trigger| trigger.timer(&due));
        self.host.call(&call).await?;
        Ok(())
    }

    async fn deliver(&self) -> HarnessResult<()> {
        while self.poll().await? {}
        Ok(())
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(dead_letters::list(&self.provider, queue).await?)
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(dead_letters::put_back(&self.provider, queue).await?)
    }
}
