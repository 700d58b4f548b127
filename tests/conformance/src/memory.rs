//! The cloud in memory, driven by `TestClient`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::driver::ResourceKind;
use isobar::manifest::Manifest;
use isobar::memory::MemoryProvider;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Cloud, Result, TestClient, TestResponse};

use crate::{Backend, BuildApp, Gap, RunningApp, World};

/// A trial that needs data to outlive its process.
const fn forgets(trial: &'static str) -> Gap {
    Gap { trial, reason: "data in memory lives no longer than its process" }
}

const GAPS: &[Gap] = &[
    forgets("items_outlive_the_process"),
    forgets("deletes_and_transactions_outlive_the_process"),
    forgets("versions_are_good_and_never_repeated_after_the_process"),
    forgets("expiry_outlives_the_process"),
    forgets("cursors_are_good_after_the_process"),
    forgets("objects_outlive_the_process"),
    forgets("deletes_and_overwrites_outlive_the_process"),
    forgets("versions_of_objects_are_good_and_never_repeated_after_the_process"),
    forgets("an_upload_that_was_not_completed_is_not_seen_after_the_process"),
    forgets("object_events_that_were_not_delivered_outlive_the_process"),
    forgets("list_cursors_are_good_after_the_process"),
    forgets("a_message_published_before_the_end_is_delivered_after_it"),
    forgets("a_message_outlives_the_end_whole"),
    forgets("an_acknowledged_message_does_not_come_back_after_the_end"),
    forgets("attempts_are_counted_across_the_end"),
    forgets("a_backoff_is_kept_across_the_end"),
    forgets("dead_letters_outlive_the_end_and_can_be_put_back"),
    forgets("the_order_of_a_key_outlives_the_end"),
    forgets("a_message_whose_handling_was_cut_off_is_delivered_again"),
];

/// The cloud in memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory;

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn gaps(&self) -> &'static [Gap] {
        GAPS
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        Ok(Box::new(MemoryWorld { provider: MemoryProvider::default() }))
    }
}

struct MemoryWorld {
    provider: MemoryProvider,
}

#[async_trait]
impl World for MemoryWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider.clone()))
    }

    fn clock(&self) -> &ManualClock {
        self.provider.manual_clock()
    }

    async fn start(&self, app: BuildApp) -> Result<Box<dyn RunningApp>> {
        Ok(Box::new(MemoryApp { client: TestClient::on(self.provider.clone(), app)? }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> Result<TestResponse> {
        let nothing = TestClient::on(self.provider.clone(), |_| isobar::App::new("nothing"))?;
        nothing.http(request.map(Body::from)).await
    }

    async fn reopen(self: Box<Self>) -> Result<Option<Box<dyn World>>> {
        Ok(None)
    }
}

struct MemoryApp {
    client: TestClient,
}

#[async_trait]
impl RunningApp for MemoryApp {
    fn manifest(&self) -> &Manifest {
        self.client.manifest()
    }

    async fn http(&self, request: Request<Body>) -> Result<TestResponse> {
        self.client.http(request).await
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes> {
        self.client.invoke_raw(function, payload).await
    }

    async fn tick(&self, schedule: &str) -> Result<()> {
        self.client.tick(schedule).await
    }

    async fn deliver(&self) -> Result<()> {
        self.client.deliver_all().await.map(drop)
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> Result<Vec<DeadLetter>> {
        Ok(match kind {
            ResourceKind::Bucket => self.client.dead_object_events(name),
            _ => self.client.dead_letters(name),
        })
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> Result<usize> {
        Ok(match kind {
            ResourceKind::Bucket => self.client.redrive_object_events(name),
            _ => self.client.redrive(name),
        })
    }
}
