//! Google Cloud's services, as emulators have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::{Body, Clock, Cloud, Environment, Error, ManualClock, Result, TestResponse};
use isobar_gcp::{GcpConfig, GcpProvider};

use crate::{Backend, BuildApp, Gap, RunningApp, World};

/// Where the services listen, each without a slash at its end.
#[derive(Debug, Clone)]
pub struct Services {
    /// Google's emulator of Firestore.
    pub firestore: String,
}

/// Google Cloud's services in emulators.
#[derive(Debug, Clone)]
pub struct Gcp {
    /// Where they listen.
    pub services: Services,
    /// What they get wrong.
    pub gaps: &'static [Gap],
}

static WORLDS: AtomicU64 = AtomicU64::new(1);

#[async_trait]
impl Backend for Gcp {
    fn name(&self) -> &'static str {
        "gcp"
    }

    fn gaps(&self) -> &'static [Gap] {
        self.gaps
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let clock = ManualClock::default();
        let environment = Environment::default()
            .with_var("GOOGLE_CLOUD_PROJECT", format!("w{}", WORLDS.fetch_add(1, Ordering::Relaxed)))
            .with_var("FIRESTORE_EMULATOR_HOST", &*self.services.firestore);
        Ok(Box::new(GcpWorld { clock, config: GcpConfig::from_environment(&environment)? }))
    }
}

#[derive(Debug)]
struct GcpWorld {
    clock: ManualClock,
    config: GcpConfig,
}

#[async_trait]
impl World for GcpWorld {
    fn cloud(&self) -> Cloud {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        Cloud::new(Arc::new(GcpProvider::with_clock(self.config.clone(), clock)))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn start(&self, _app: BuildApp) -> Result<Box<dyn RunningApp>> {
        Err(Error::unsupported("start", "gcp", "not yet"))
    }

    async fn fetch(&self, request: Request<Bytes>) -> Result<TestResponse> {
        super::send(request.map(Body::from)).await
    }

    async fn reopen(self: Box<Self>) -> Result<Option<Box<dyn World>>> {
        Ok(Some(self))
    }
}
