//! An app as its user deploys it: built for Azure, and run by the stand-in of the Functions host, on what
//! [`function_app`](isobar_azure::function_app) puts beside it.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the expiry of what is stored is moved back
//! instead (`aging`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::{Cloud, Result, TestResponse};
use isobar_azure::{AzureConfig, HttpMode};

pub use super::delivery::AzureApp;
use super::host::Host;
use super::{AzureWorld, Services, files};
use crate::backends::aging::Aging;
use crate::built;
use crate::functions_host::{FunctionApp, FunctionsHost};
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

/// Emulators, and the binary of one app.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where the services listen.
    pub services: Services,
    /// The app, built with the feature `azure`.
    pub executable: PathBuf,
    /// How the host hands HTTP over.
    pub http: HttpMode,
    /// Further variables for the app.
    pub environment: BTreeMap<String, String>,
}

static WORLDS: AtomicU64 = AtomicU64::new(1);

#[async_trait]
impl Harness for Deployed {
    fn name(&self) -> &'static str {
        "azure-deployed"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        Ok(Box::new(self.open_world().await?))
    }
}

impl Deployed {
    /// A world in which nothing is stored and nothing runs.
    pub async fn open_world(&self) -> Result<DeployedWorld> {
        let prefix = format!("e{}-", WORLDS.fetch_add(1, Ordering::Relaxed));
        let world = AzureWorld::open(&self.services, &prefix).await?;
        Ok(DeployedWorld { world, deployed: self.clone() })
    }
}

/// The data of one trial, and the binary that is run on them.
#[derive(Debug)]
pub struct DeployedWorld {
    world: AzureWorld,
    deployed: Deployed,
}

#[async_trait]
impl World for DeployedWorld {
    fn cloud(&self) -> Cloud {
        self.world.cloud()
    }

    fn clock(&self) -> Option<&ManualClock> {
        self.world.clock()
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        Ok(Box::new(self.run(app).await?))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        self.world.fetch(request).await
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

impl DeployedWorld {
    /// Runs the binary; the app that is given must be the one that the binary is of.
    pub async fn run(&self, app: BuildApp) -> Result<AzureApp> {
        let manifest = built::manifest(&self.deployed.executable, app).await?;
        let (account, clock) = (Arc::clone(&self.world.account), self.world.clock.clone());
        account.deploy(&manifest).await?;
        let environment = account.environment_of(&manifest);
        let files = files(&manifest, &AzureConfig::from_environment(&environment)?, self.deployed.http)?;
        let own = environment.vars_with_prefix("").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = own.chain(self.deployed.environment.clone()).collect();
        let executable = self.deployed.executable.clone();
        let host = Host::StandIn(FunctionsHost::start(FunctionApp { executable, files, settings }).await?);
        let provider = self.world.provider(self.world.config.clone());
        let aging = Some((Aging::new(&clock.manual), provider));
        Ok(AzureApp { host, manifest: Arc::new(manifest), account, clock, aging })
    }
}
