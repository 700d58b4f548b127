//! **A double**, made by isobar, of Pub/Sub's pushes: it pulls messages from the emulator's subscriptions, pushes them in
//! the emulator's form to the service in this process, and acknowledges or keeps each by the response. Time is the
//! trial's, which no emulator knows; the end-to-end trials show that the emulator itself pushes to the host.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, Request, StatusCode};
use isobar::driver::{Clock, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, EventQueue, Result, TestResponse};
use isobar_gcp::{CloudRunService, GcpProvider};
use serde_json::json;

use super::calls;
use super::project::{Project, QueueNames, path_of};
use super::pub_sub::Waiting;
use crate::backends::dead_letters;
use crate::backends::pause::PauseClock;
use crate::backends::provisioned::Deployment;
use crate::backends::{body_of, read};
use crate::server::not_a_request;
use isobar_conformance::{HarnessResult, RunningApp};

/// Messages that are pushed at the same time.
const CONCURRENT: usize = 16;

/// Time for which a message that is pushed is not pushed again.
const LEASE: Duration = Duration::from_secs(600);

/// An app as a service.
#[derive(Debug)]
pub struct GcpApp {
    pub(super) service: CloudRunService,
    pub(super) provider: GcpProvider,
    pub(super) manifest: Arc<Manifest>,
    pub(super) project: Arc<Project>,
    pub(super) clock: PauseClock,
}

impl GcpApp {
    /// Pushes the due messages of a trigger once. Returns whether there were any.
    async fn push_due(&self, queue: &EventQueue) -> Result<bool> {
        let (QueueNames { topic, subscription }, path) = (&self.project.names(queue), &path_of(queue));
        let due = self.take_due(topic, subscription).await?;
        let any = !due.is_empty();
        let (keyed, free): (Vec<_>, Vec<_>) = due.into_iter().partition(|waiting| waiting.key().is_some());
        let pushes: Vec<_> = free.iter().map(|waiting| self.push(subscription, path, waiting)).collect();
        let results: Vec<_> = stream::iter(pushes).buffered(CONCURRENT).collect().await;
        let mut pushed: Vec<(Waiting, bool)> = Vec::new();
        for (waiting, acknowledged) in free.into_iter().zip(results) {
            pushed.push((waiting, acknowledged?));
        }
        for mut waiting in keyed {
            self.clock.take_pause();
            let acknowledged = self.push(subscription, path, &waiting).await?;
            waiting.not_before = self.clock.now() + self.clock.take_pause();
            pushed.push((waiting, acknowledged));
        }
        self.settle(subscription, pushed).await?;
        Ok(any)
    }

    /// Sends the writes of a table that were not reported yet. Returns whether any was acknowledged.
    async fn report_writes(&self, queue: &EventQueue) -> Result<bool> {
        if queue.kind() != ResourceKind::Table {
            return Ok(false);
        }
        let collection = self.project.physical(queue.source());
        let send = |event| self.call(event, "127.0.0.1");
        let sent = self.project.documents.send(&collection, &path_of(queue), send).await?;
        Ok(sent.acknowledged > 0)
    }

    /// Leases the due messages; of each ordering key only the first, and that only if it is due.
    async fn take_due(&self, topic: &str, subscription: &str) -> Result<Vec<Waiting>> {
        let mut all = self.project.waiting.lock().await;
        let mut received = self.project.notifications.received(topic, subscription).await?;
        received.extend(self.project.pub_sub.pull(subscription).await?);
        let now = self.clock.now();
        all.extend(received.iter().map(|received| (subscription.to_owned(), Waiting::of(received, now))));
        let (mut blocked, mut due) = (Vec::<String>::new(), Vec::new());
        for (_, waiting) in all.iter_mut().filter(|(of, _)| of == subscription) {
            let key = waiting.key().map(str::to_owned);
            let waits = key.as_ref().is_some_and(|key| blocked.contains(key));
            blocked.extend(key);
            if !waits && waiting.not_before <= now {
                due.push(waiting.clone());
                waiting.not_before = now + LEASE;
            }
        }
        Ok(due)
    }

    /// Pushes a message. Returns whether the service acknowledged it.
    async fn push(&self, subscription: &str, path: &str, waiting: &Waiting) -> Result<bool> {
        let name = format!("projects/{}/subscriptions/{subscription}", self.project.id);
        let body = json!({"subscription": name, "message": waiting.message, "deliveryAttempt": waiting.attempt});
        let request = Request::post(path).header("content-type", "application/json");
        let response =
            self.call(request.body(Body::from(body.to_string())).map_err(not_a_request)?, "127.0.0.1").await?;
        Ok(response.status == 204)
    }

    async fn settle(&self, subscription: &str, pushed: Vec<(Waiting, bool)>) -> Result<()> {
        let ids: Vec<&str> =
            pushed.iter().filter(|(_, acknowledged)| *acknowledged).map(|(it, _)| it.ack.as_str()).collect();
        self.project.pub_sub.acknowledge(subscription, &ids).await?;
        let mut all = self.project.waiting.lock().await;
        for (waiting, acknowledged) in pushed {
            let Some(place) = all.iter().position(|(_, it)| it.ack == waiting.ack) else { continue };
            match acknowledged {
                true => drop(all.remove(place)),
                false => {
                    let not_before = waiting.not_before.max(waiting.due);
                    all[place].1 = Waiting { attempt: waiting.attempt + 1, not_before, ..waiting };
                }
            }
        }
        Ok(())
    }

    async fn call(&self, mut request: Request<Body>, host: &'static str) -> Result<TestResponse> {
        request.headers_mut().entry("host").or_insert(HeaderValue::from_static(host));
        read(self.service.handle(request).await).await
    }
}

#[async_trait]
impl RunningApp for GcpApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        Ok(self.call(request, "app.a.run.app").await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(body_of(self.call(calls::invoke(function, payload)?, "127.0.0.1").await?, StatusCode::OK)?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let response = self.call(calls::tick(schedule, self.clock.now())?, "127.0.0.1").await?;
        body_of(response, StatusCode::NO_CONTENT)?;
        Ok(())
    }

    async fn deliver(&self) -> HarnessResult<()> {
        loop {
            let mut any = false;
            for (queue, _) in self.manifest.queues() {
                any |= self.report_writes(&queue).await?;
                any |= self.push_due(&queue).await?;
            }
            if !any {
                return Ok(());
            }
        }
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(dead_letters::list(&self.provider, queue).await?)
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(dead_letters::put_back(&self.provider, queue).await?)
    }
}
