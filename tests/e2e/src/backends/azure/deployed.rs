//! An app as its user deploys it: built for Azure, and run by a double of the Functions host, with the files that
//! [`function_app`](isobar_azure::function_app) makes.
//!
//! The app's clock is the machine's. Where a trial moves the clock, the expiry of the stored items is moved back instead
//! (`aging`). Service Bus has the clock of the app, because its messages have times of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::Result;
use isobar::clock::ManualClock;
use isobar::driver::{Environment, Provider};
use isobar::local::SystemClock;
use isobar_azure::{AzureConfig, AzureProvider, HttpMode};

pub use super::delivery::AzureApp;
use super::host::Host;
use super::{AzureTrial, Services, files};
use crate::backends::aging::Aging;
use crate::backends::cloud::{CloudUnderTest, CloudWorld, new_prefix};
use crate::backends::stages::{Stages, variables_of};
use crate::backends::variables;
use crate::built;
use crate::functions_host::{FunctionApp, FunctionsHost};
use isobar_conformance::{BuildApp, Harness, HarnessResult, World};

/// Emulators, and the binary of one app.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Where the services listen.
    pub services: Services,
    /// The app, built with the feature `azure`.
    pub executable: PathBuf,
    /// How the host passes HTTP requests.
    pub http: HttpMode,
    /// Further variables for the app.
    pub environment: BTreeMap<String, String>,
}

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
    pub async fn open_world(&self) -> Result<CloudWorld<DeployedTrial>> {
        self.clone().open_as(&new_prefix()).await
    }

    async fn open_as(self, prefix: &str) -> Result<CloudWorld<DeployedTrial>> {
        let trial = self.services.open_by(prefix, Some(Arc::new(SystemClock))).await?;
        Ok(CloudWorld(DeployedTrial { trial, deployed: self }))
    }
}

#[async_trait]
impl Stages for Deployed {
    type Stage = DeployedTrial;

    async fn open_stages(&self, app: &str, stages: &[&str]) -> Result<Vec<CloudWorld<DeployedTrial>>> {
        let mut worlds = Vec::new();
        for stage in stages {
            let deployed = Self { environment: variables_of(stage), ..self.clone() };
            worlds.push(deployed.open_as(&format!("{app}-{stage}-")).await?);
        }
        Ok(worlds)
    }
}

/// The resources of one trial, and the binary that runs on them.
#[derive(Debug)]
pub struct DeployedTrial {
    trial: AzureTrial,
    deployed: Deployed,
}

impl DeployedTrial {
    /// The variables by which a command on this machine finds the data.
    pub fn environment(&self) -> Environment {
        self.trial.account.environment()
    }
}

#[async_trait]
impl CloudUnderTest for DeployedTrial {
    type App = AzureApp;

    fn provider(&self) -> Arc<dyn Provider> {
        self.trial.provider()
    }

    fn clock(&self) -> &ManualClock {
        self.trial.clock()
    }

    async fn run(&self, app: BuildApp) -> Result<AzureApp> {
        let Deployed { executable, http, environment, .. } = self.deployed.clone();
        let manifest = built::manifest(&executable, app).await?;
        let (account, clock) = (Arc::clone(&self.trial.account), self.trial.clock.clone());
        account.deploy(&manifest).await?;
        let settings = account.environment_of(&manifest);
        let config = AzureConfig::from_environment(&settings)?;
        let files = files(&manifest, &config, http)?;
        let settings = variables(&settings, environment);
        let host = Host::Process(FunctionsHost::start(FunctionApp { executable, files, settings }).await?);
        let aging = Some(Aging::new(&clock.manual, self.provider()));
        // Service Bus has the machine's clock here.
        let provider = AzureProvider::new(config);
        Ok(AzureApp { host, provider, manifest: Arc::new(manifest), account, clock, aging })
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        self.trial.set_secret(key, value).await
    }
}
