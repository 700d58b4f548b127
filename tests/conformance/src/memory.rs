//! The cloud in memory, driven by `TestClient`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::driver::Provider;
use isobar::driver::pub_sub::Backlog;
use isobar::manifest::Manifest;
use isobar::memory::MemoryProvider;
use isobar::pub_sub::DeadLetter;
use isobar::{Body, Cloud, EventQueue, Result, TestClient, TestResponse};

use crate::{BuildApp, Harness, HarnessResult, RunningApp, World};

/// The cloud in memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory;

#[async_trait]
impl Harness for Memory {
    fn name(&self) -> &'static str {
        "memory"
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

    fn clock(&self) -> Option<&ManualClock> {
        Some(self.provider.manual_clock())
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        Ok(Box::new(MemoryApp { client: TestClient::on(self.provider.clone(), app)? }))
    }

    async fn set_secret(&self, name: &str, value: Option<&str>) -> HarnessResult<()> {
        match value {
            Some(value) => self.provider.set_secret(name, value),
            None => self.provider.remove_secret(name),
        }
        Ok(())
    }

    async fn backlog(&self, queue: &EventQueue) -> HarnessResult<Arc<dyn Backlog>> {
        Ok(self.provider.backlog(queue)?)
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        let nothing = TestClient::on(self.provider.clone(), |_| isobar::App::new("nothing"))?;
        Ok(nothing.http(request.map(Body::from)).await?)
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

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        Ok(self.client.http(request).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.client.invoke_raw(function, payload).await?)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        Ok(self.client.tick(schedule).await?)
    }

    async fn deliver(&self) -> HarnessResult<()> {
        self.client.deliver_all().await?;
        Ok(())
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        Ok(self.client.dead_letters(queue))
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        Ok(self.client.redrive(queue))
    }
}
