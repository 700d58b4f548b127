//! AWS's services, as an emulator that others wrote has them, and the Lambda host in this process.
//!
//! What the services do (DynamoDB, S3, SNS, SQS, the way from SNS and S3 to SQS) is the emulator's.
//! What Lambda does around a function is in `delivery`: it polls the queues, makes the events, and
//! acknowledges what the partial batch response leaves out. Time is the trial's: SQS is asked to hide
//! a message for long, and to show it when the manual clock says so.

mod account;
mod delivery;
pub mod deployed;
mod events;
pub mod gaps;
mod tap;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::{Environment, Hosted};
use isobar::{Body, Cloud, Result, TestResponse};

use self::account::Account;
use self::delivery::AwsApp;
use self::tap::Tap;
use crate::backends::Double;
use crate::backends::provisioned::Provisioned;
use isobar_conformance::{BuildApp, Gap, Harness, HarnessResult, RunningApp, World};

/// What is ours here.
pub const DOUBLES: &[Double] = &[
    Double { name: "Lambda, in this process, by the trial's clock", only: &["PS-2", "PS-3", "FN-6"] },
    Double { name: "the visibility of SQS, by the trial's clock", only: &["PS-3"] },
];

const REGION: &str = "us-east-1";

/// AWS's services in an emulator.
#[derive(Debug, Clone)]
pub struct Aws {
    /// The backend's name.
    pub name: &'static str,
    /// Where the emulator listens, without a slash at the end.
    pub endpoint: String,
    /// The account that it is.
    pub account: &'static str,
    /// What it gets wrong.
    pub gaps: &'static [Gap],
}

static WORLDS: AtomicU64 = AtomicU64::new(1);

#[async_trait]
impl Harness for Aws {
    fn name(&self) -> &'static str {
        self.name
    }

    fn gaps(&self) -> &'static [Gap] {
        self.gaps
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        self.open_as(&format!("w{}-", WORLDS.fetch_add(1, Ordering::Relaxed))).await
    }
}

impl Aws {
    /// A world whose resources have this before their names on AWS; nothing else may have it.
    pub async fn open_as(&self, prefix: &str) -> Result<Box<dyn World>> {
        let clock = ManualClock::default();
        let tap = Tap::start(&self.endpoint, &clock).await?;
        let account = Arc::new(Account::new(self.endpoint.clone(), self.account, prefix.to_owned())?);
        let environment = account.environment().with_var("AWS_ENDPOINT_URL_SQS", tap.url());
        let mut config = AwsConfig::from_environment(&environment)?;
        // A trial of half a gigabyte would take too long.
        config.largest_copy = Some(5 << 20);
        Ok(Box::new(AwsWorld { account, clock, tap, config }))
    }
}

struct AwsWorld {
    account: Arc<Account>,
    clock: ManualClock,
    tap: Arc<Tap>,
    config: AwsConfig,
}

impl AwsWorld {
    fn provider(&self) -> Provisioned<AwsProvider, Account> {
        let aws = AwsProvider::with_clock(self.config.clone(), Arc::new(self.clock.clone()));
        Provisioned { provider: aws, account: Arc::clone(&self.account) }
    }
}

#[async_trait]
impl World for AwsWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider()))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        let provider = self.provider();
        let aws = provider.provider.clone();
        let cloud = Cloud::new(Arc::new(provider));
        let mut app = app(&cloud)?;
        let manifest = Arc::new(app.start(&cloud)?);
        self.account.subscribe(&manifest).await?;
        let lambda = aws.lambda(Hosted::new(app, Arc::clone(&manifest)));
        let (account, clock, tap) = (Arc::clone(&self.account), self.clock.clone(), Arc::clone(&self.tap));
        Ok(Box::new(AwsApp { lambda, manifest, account, clock, tap }))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(super::send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

impl Account {
    /// What the SDKs' variables say of this account.
    fn environment(&self) -> Environment {
        let vars = [
            ("AWS_REGION", REGION),
            ("AWS_ACCOUNT_ID", self.number),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("ISOBAR_PREFIX", &self.prefix),
        ];
        vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value))
    }
}
