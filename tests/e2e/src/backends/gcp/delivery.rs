//! **A double**, made by us, of what pushes messages: it takes them from the emulator's subscriptions, pushes them
//! in the emulator's form to the service in this process, and acknowledges or keeps them by its answer. Time is
//! the trial's, which no emulator knows; that the emulator itself pushes to our host is shown end to end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::Request;
use isobar::clock::to_rfc3339;
use isobar::driver::{Clock, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Result, TestResponse};
use isobar_gcp::CloudRunService;
use serde_json::json;

use super::project::Project;
use super::pub_sub::Waiting;
use crate::backends::held::HeldClock;
use crate::backends::{told_error, whole};
use crate::front::not_a_request;
use isobar_conformance::{HarnessResult, RunningApp};

/// Messages that are pushed at once.
const AT_ONCE: usize = 16;

/// How long a message that is being pushed is not pushed again.
const LEASE: Duration = Duration::from_secs(600);

/// An app as a service.
#[derive(Debug)]
pub(super) struct GcpApp {
    pub(super) service: CloudRunService,
    pub(super) manifest: Arc<Manifest>,
    pub(super) project: Arc<Project>,
    pub(super) clock: HeldClock,
}

impl GcpApp {
    /// Pushes once what is due of a subscription. Returns whether there was anything.
    async fn push_due(&self, subscription: &str, path: &str) -> Result<bool> {
        let due = self.take_due(subscription).await?;
        let any = !due.is_empty();
        let (keyed, free): (Vec<_>, Vec<_>) = due.into_iter().partition(|waiting| waiting.key().is_some());
        let pushes: Vec<_> = free.iter().map(|waiting| self.push(subscription, path, waiting)).collect();
        let answers: Vec<_> = stream::iter(pushes).buffered(AT_ONCE).collect().await;
        let mut settled: Vec<(Waiting, bool)> = Vec::new();
        for (waiting, taken) in free.into_iter().zip(answers) {
            settled.push((waiting, taken?));
        }
        for mut waiting in keyed {
            self.clock.take();
            let taken = self.push(subscription, path, &waiting).await?;
            waiting.not_before = self.clock.now() + self.clock.take();
            settled.push((waiting, taken));
        }
        self.settle(subscription, settled).await?;
        Ok(any)
    }

    /// Of each ordering key only the first, and that only if it is due. They are leased, and not seen while they are.
    async fn take_due(&self, subscription: &str) -> Result<Vec<Waiting>> {
        let mut all = self.project.waiting.lock().await;
        let mut received = self.project.notices.received(subscription).await?;
        received.extend(self.project.pub_sub.pull(subscription).await?);
        all.extend(received.iter().map(|received| (subscription.to_owned(), Waiting::of(received))));
        let now = self.clock.now();
        let (mut blocked, mut due) = (Vec::<String>::new(), Vec::new());
        for (_, waiting) in all.iter_mut().filter(|(of, _)| of == subscription) {
            let key = waiting.key().map(str::to_owned);
            let held = key.as_ref().is_some_and(|key| blocked.contains(key));
            blocked.extend(key);
            if !held && waiting.not_before <= now {
                due.push(waiting.clone());
                waiting.not_before = now + LEASE;
            }
        }
        Ok(due)
    }

    async fn push(&self, subscription: &str, path: &str, waiting: &Waiting) -> Result<bool> {
        let name = format!("projects/{}/subscriptions/{subscription}", self.project.id);
        let body = json!({"subscription": name, "message": waiting.message, "deliveryAttempt": waiting.attempt});
        let answer = self.post(path, body.to_string(), &[("content-type", "application/json")]).await?;
        Ok(answer.status() == 204)
    }

    async fn settle(&self, subscription: &str, settled: Vec<(Waiting, bool)>) -> Result<()> {
        let ids: Vec<&str> = settled.iter().filter(|(_, taken)| *taken).map(|(it, _)| it.ack.as_str()).collect();
        self.project.pub_sub.acknowledge(subscription, &ids).await?;
        let mut all = self.project.waiting.lock().await;
        for (waiting, taken) in settled {
            let Some(place) = all.iter().position(|(_, it)| it.ack == waiting.ack) else { continue };
            match taken {
                true => drop(all.remove(place)),
                false => all[place].1 = Waiting { attempt: waiting.attempt + 1, ..waiting },
            }
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: impl Into<Body>, headers: &[(&str, &str)]) -> Result<http::Response<Bytes>> {
        let request = Request::post(path).header("host", "127.0.0.1");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        whole(self.service.handle(request.body(body.into()).map_err(not_a_request)?).await).await
    }
}

#[async_trait]
impl RunningApp for GcpApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, mut request: Request<Body>) -> HarnessResult<TestResponse> {
        request.headers_mut().entry("host").or_insert(http::HeaderValue::from_static("app.a.run.app"));
        let (parts, body) = whole(self.service.handle(request).await).await?.into_parts();
        Ok(TestResponse::new(parts.status, parts.headers, body))
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let headers = [("content-type", "application/json")];
        let answer = self.post(&format!("/.isobar/functions/{function}"), payload, &headers).await?;
        if answer.status() == 200 { Ok(answer.into_body()) } else { Err(told_error(answer.body()).into()) }
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let due = to_rfc3339(self.clock.now());
        let headers = [("x-cloudscheduler", "true"), ("x-cloudscheduler-scheduletime", due.as_str())];
        let answer = self.post(&format!("/.isobar/schedules/{schedule}"), Body::empty(), &headers).await?;
        if answer.status().is_success() { Ok(()) } else { Err(told_error(answer.body()).into()) }
    }

    async fn deliver(&self) -> HarnessResult<()> {
        let subscriptions = self.project.subscriptions(&self.manifest);
        loop {
            let mut any = false;
            for (subscription, path) in &subscriptions {
                any |= self.push_due(subscription, path).await?;
            }
            if !any {
                return Ok(());
            }
        }
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> HarnessResult<Vec<DeadLetter>> {
        Ok(self.project.dead_letters(kind, name).await?)
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> HarnessResult<usize> {
        Ok(self.project.redrive(kind, name).await?)
    }
}
