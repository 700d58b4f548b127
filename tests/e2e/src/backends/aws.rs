//! AWS's services in an emulator, and the Lambda host in this process.
//!
//! The emulator is the services: DynamoDB, S3, SNS, SQS, and the routes from SNS and S3 to SQS. `delivery` is what
//! Lambda does around a function: it polls the queues and the streams of tables, makes the events, and deletes the messages that the partial
//! batch response does not list. Time is the trial's: SQS hides a message for as long as it can, and shows it when the
//! manual clock has passed its visibility timeout.

mod account;
mod delivery;
pub mod deployed;
mod events;
pub mod gaps;
mod queue_proxy;
mod queues;
mod streams;

use std::sync::Arc;

use async_trait::async_trait;
use isobar::Result;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::{Environment, Provider};

use self::account::Account;
use self::delivery::AwsApp;
use self::queue_proxy::QueueProxy;
use crate::backends::Double;
use crate::backends::cloud::{self, CloudUnderTest, Emulated, declare};
use crate::backends::provisioned::{Deployment, Provisioned};
use isobar_conformance::{BuildApp, HarnessResult};

/// The doubles among these services.
pub const DOUBLES: &[Double] = &[
    Double { name: "Lambda, in this process, by the trial's clock", only: &["PS-2", "PS-3", "PS-16", "FN-6"] },
    Double { name: "the visibility of SQS, by the trial's clock", only: &["PS-3", "PS-16"] },
];

const REGION: &str = "us-east-1";

/// An emulator of AWS's services.
#[derive(Debug, Clone)]
pub struct Services {
    /// Where it listens, without a slash at the end.
    pub endpoint: String,
    /// The number of its account.
    pub account: &'static str,
}

/// AWS's services in an emulator, and apps on the Lambda host in this process.
pub type Aws = Emulated<Services>;

#[async_trait]
impl cloud::Services for Services {
    type Trial = AwsTrial;

    async fn open(&self, prefix: &str) -> Result<AwsTrial> {
        let clock = ManualClock::default();
        let proxy = QueueProxy::start(&self.endpoint, &clock).await?;
        let account = Arc::new(Account::new(self.clone(), prefix)?);
        let environment = account.environment().with_var("AWS_ENDPOINT_URL_SQS", proxy.url());
        let mut config = AwsConfig::from_environment(&environment)?;
        // A trial of half a gigabyte would take too long.
        config.largest_copy = Some(5 << 20);
        Ok(AwsTrial { account, clock, proxy, config })
    }
}

/// The resources of one trial.
#[derive(Debug)]
pub struct AwsTrial {
    account: Arc<Account>,
    clock: ManualClock,
    proxy: Arc<QueueProxy>,
    config: AwsConfig,
}

#[async_trait]
impl CloudUnderTest for AwsTrial {
    type App = AwsApp;

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.provisioned())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn run(&self, app: BuildApp) -> Result<AwsApp> {
        let provisioned = self.provisioned();
        let provider = provisioned.provider.clone();
        let hosted = declare(provisioned, app)?;
        let manifest = Arc::clone(&hosted.manifest);
        self.account.subscribe(&manifest).await?;
        let (account, clock, proxy) = (Arc::clone(&self.account), self.clock.clone(), Arc::clone(&self.proxy));
        Ok(AwsApp { lambda: provider.lambda(hosted), provider, manifest, account, clock, proxy })
    }

    async fn set_secret(&self, key: &str, value: Option<&str>) -> HarnessResult<()> {
        Ok(self.account.set_parameter(key, value).await?)
    }
}

impl AwsTrial {
    fn provisioned(&self) -> Provisioned<AwsProvider, Account> {
        let provider = AwsProvider::with_clock(self.config.clone(), Arc::new(self.clock.clone()));
        Provisioned { provider, account: Arc::clone(&self.account) }
    }
}

/// The SDKs' variables for an account.
fn environment(services: &Services, prefix: &str) -> Environment {
    let vars = [
        ("AWS_REGION", REGION),
        ("AWS_ACCOUNT_ID", services.account),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", &services.endpoint),
        ("ISOBAR_PREFIX", prefix),
    ];
    vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value))
}
