//! **A double**, made by us, of what the Functions host does around a handler: it takes messages from their queues,
//! hands them over, and completes or gives back what the answer says; and fires timers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use isobar::clock::to_rfc3339;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Clock, Error, Manifest, ResourceKind, Result, TestResponse};
use isobar_azure::CustomHandler;
use serde_json::Value;

use super::account::{Account, SECRET};
use super::events;
use super::held::HeldClock;
use super::service_bus::Delivery;
use super::storage::Queued;
use crate::RunningApp;

/// What the host hides a message for that is being handled.
const VISIBILITY: Duration = Duration::from_secs(600);

/// `maxDequeueCount` of host.json.
const MOST_DELIVERIES: u32 = 5;

/// How many messages of a queue are handled at once: `batchSize`.
const AT_ONCE: usize = 16;

/// An app behind the Functions host.
pub(super) struct AzureApp {
    pub(super) handler: CustomHandler,
    pub(super) manifest: Arc<Manifest>,
    pub(super) account: Arc<Account>,
    pub(super) clock: HeldClock,
}

impl AzureApp {
    /// Calls a function, named without its secret. `Ok` has its answer. Errors: where the host counts the
    /// invocation as failed, or waits for it until its timeout.
    async fn call(&self, function: &str, payload: &Value) -> Result<Value> {
        let request = Request::post(format!("/{function}-{SECRET}"))
            .header("host", "127.0.0.1:7071")
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-invocationid", invocation())
            .header("user-agent", "Azure-Functions-Host/4.1037.0.0")
            .body(Body::from(payload.to_string()));
        let request = request.map_err(|error| Error::invalid("not a request").with_source(error))?;
        let answer = whole(self.handler.handle(request).await).await?;
        if !answer.status.is_success() {
            return Err(events::told_error(&answer.body));
        }
        let told: Value = serde_json::from_slice(&answer.body)?;
        if told.is_null() {
            Err(Error::internal("an empty answer: the host waits until its timeout"))
        } else {
            Ok(told)
        }
    }

    /// Polls a storage queue once. Returns whether there was anything.
    async fn poll_queue(&self, queue: &str, function: &str) -> Result<bool> {
        let messages = self.account.tap.receive(queue, VISIBILITY).await?;
        let any = !messages.is_empty();
        let handled = messages.iter().map(|message| self.queued(queue, function, message)).collect::<Vec<_>>();
        let handled: Vec<_> = stream::iter(handled).buffer_unordered(AT_ONCE).collect().await;
        handled.into_iter().collect::<Result<()>>()?;
        Ok(any)
    }

    async fn queued(&self, queue: &str, function: &str, message: &Queued) -> Result<()> {
        let handled = match events::queued(message) {
            Some(payload) => self.call(function, &payload).await.map(drop),
            None => Err(Error::invalid("the message is not base64")),
        };
        match handled {
            Err(_) if message.count < MOST_DELIVERIES => {
                self.account.tap.give_back(message);
                return Ok(());
            }
            Err(_) => self.account.storage.send(&format!("{queue}-poison"), &message.text).await?,
            Ok(()) => {}
        }
        self.account.tap.delete(queue, message).await
    }

    /// Polls a subscription of Service Bus once. Returns whether there was anything.
    async fn poll_subscription(&self, topic: &str, function: &str) -> Result<bool> {
        let path = format!("{topic}/subscriptions/{}", topic.trim_end_matches("-fifo"));
        let mut messages = Vec::new();
        while messages.len() < AT_ONCE
            && let Some(message) = self.account.bus.receive(&path)
        {
            messages.push(message);
            // The wait of an answer that is held back is told by the clock, which tells one at a time.
            if topic.ends_with("-fifo") {
                break;
            }
        }
        let any = !messages.is_empty();
        let handled = messages.iter().map(|message| self.delivered(function, message)).collect::<Vec<_>>();
        stream::iter(handled).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        Ok(any)
    }

    async fn delivered(&self, function: &str, message: &Delivery) {
        self.clock.take();
        match self.call(function, &events::delivered(message)).await {
            Ok(_) => self.account.bus.complete(message),
            Err(_) => self.account.bus.abandon(message, self.clock.take()),
        };
    }

    /// Polls everything once. Returns whether there was anything.
    async fn poll(&self) -> Result<bool> {
        let mut any = false;
        for trigger in &self.manifest.messages {
            let (name, source) = (&trigger.source, self.account.physical(&trigger.source));
            if self.account.is_full() {
                any |= self.poll_subscription(&source, &format!("topic-{name}")).await?;
                any |= self.poll_subscription(&format!("{source}-fifo"), &format!("fifo-{name}")).await?;
            } else {
                any |= self.poll_queue(&source, &format!("topic-{name}")).await?;
            }
        }
        for trigger in &self.manifest.objects {
            let queue = format!("{}-events", self.account.physical(&trigger.source));
            any |= self.poll_queue(&queue, &format!("bucket-{}", trigger.source)).await?;
        }
        Ok(any)
    }
}

/// An id that no other invocation has.
fn invocation() -> String {
    static INVOCATIONS: AtomicU64 = AtomicU64::new(1);
    format!("3f2a0000-0000-0000-0000-{:012x}", INVOCATIONS.fetch_add(1, Ordering::Relaxed))
}

async fn whole(response: http::Response<Body>) -> Result<TestResponse> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| Error::internal("the answer broke off").with_source(error))?;
    Ok(TestResponse::new(parts.status, parts.headers, body.to_bytes()))
}

#[async_trait]
impl RunningApp for AzureApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// As the host proxies it: as it came, with the id of the invocation.
    async fn http(&self, mut request: Request<Body>) -> Result<TestResponse> {
        let headers = request.headers_mut();
        let id =
            HeaderValue::try_from(invocation()).map_err(|error| Error::internal("no header").with_source(error))?;
        headers.insert("x-ms-invocation-id", id);
        headers.entry("host").or_insert(HeaderValue::from_static("app.azurewebsites.net"));
        whole(self.handler.handle(request).await).await
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes> {
        let payload = std::str::from_utf8(&payload).map_err(|error| Error::invalid("no JSON").with_source(error))?;
        let answer = self.call(&format!("invoke-{function}"), &events::direct(function, payload)).await?;
        events::output(&answer)
    }

    async fn tick(&self, schedule: &str) -> Result<()> {
        let due = to_rfc3339(self.clock.now());
        self.call(&format!("schedule-{schedule}"), &events::timer(&due)).await.map(drop)
    }

    async fn deliver(&self) -> Result<()> {
        while self.poll().await? {}
        Ok(())
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> Result<Vec<DeadLetter>> {
        self.account.dead_letters(kind, name).await
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> Result<usize> {
        self.account.redrive(kind, name).await
    }
}
