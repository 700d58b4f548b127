//! What a backend is, the world that it opens for a trial, and the trial.

use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use isobar::clock::ManualClock;
use isobar::driver::{Clock, ResourceKind};
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{App, Body, Cloud, IntoApp, Result, TestResponse};

/// What a trial ends with; an assertion that fails panics.
pub type Checked = std::result::Result<(), Box<dyn StdError + Send + Sync>>;

/// Builds an app on a cloud.
pub type BuildApp = Box<dyn FnOnce(&Cloud) -> Result<App> + Send>;

/// One backend under test.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Its name, which stands before the names of its trials.
    fn name(&self) -> &'static str;

    /// What it gets wrong or cannot do.
    fn gaps(&self) -> &'static [Gap] {
        &[]
    }

    /// A world in which nothing is stored and nothing runs.
    async fn open(&self) -> Result<Box<dyn World>>;
}

/// A trial that a backend cannot pass, and why.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// The name of the trial.
    pub trial: &'static str,
    /// Why, in words that tell a reader what to expect of the backend.
    pub reason: &'static str,
}

/// The data, the clock and the network of one trial.
#[async_trait]
pub trait World: Send + Sync {
    /// A new cloud over the data of this world. It has declared nothing yet.
    fn cloud(&self) -> Cloud;

    /// The clock of everything in this world.
    fn clock(&self) -> &ManualClock;

    /// Starts an app. Errors: that of `app`, and those of its declaration.
    async fn start(&self, app: BuildApp) -> Result<Box<dyn RunningApp>>;

    /// Sends a request that knows its host, as signed URLs do.
    async fn fetch(&self, request: http::Request<Bytes>) -> Result<TestResponse>;

    /// Ends everything, and opens the same data again. `None` where data lives no longer than that.
    async fn reopen(self: Box<Self>) -> Result<Option<Box<dyn World>>>;
}

/// An app that a world runs.
#[async_trait]
pub trait RunningApp: Send + Sync {
    /// What it declared.
    fn manifest(&self) -> &Manifest;

    /// Sends a request.
    async fn http(&self, request: http::Request<Body>) -> Result<TestResponse>;

    /// Calls a function directly.
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes>;

    /// Fires a schedule. Errors: where its handler fails.
    async fn tick(&self, schedule: &str) -> Result<()>;

    /// Ends when no message and no object event is due or being handled.
    async fn deliver(&self) -> Result<()>;

    /// The messages of a topic, or the events of a bucket, that were given up.
    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> Result<Vec<DeadLetter>>;

    /// Puts dead letters back, to be delivered anew. Returns how many.
    async fn redrive(&self, kind: ResourceKind, name: &str) -> Result<usize>;
}

impl dyn World + '_ {
    /// [`start`](World::start) with any function that makes an app.
    pub async fn run<A: IntoApp>(&self, app: impl FnOnce(&Cloud) -> A + Send + 'static) -> Result<Box<dyn RunningApp>> {
        self.start(Box::new(|cloud| app(cloud).into_app())).await
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.clock().advance(by);
    }

    /// The time now.
    pub fn now(&self) -> std::time::SystemTime {
        self.clock().now()
    }
}

impl dyn RunningApp + '_ {
    /// GET of a path.
    pub async fn get(&self, path: &str) -> Result<TestResponse> {
        let request = http::Request::get(path).body(Body::empty());
        self.http(request.map_err(|error| isobar::Error::invalid_input("not a request").with_source(error))?).await
    }
}

/// One check of one guarantee.
#[derive(Clone, Copy)]
pub struct Trial {
    /// The guarantee, as the name of the function that checks it.
    pub name: &'static str,
    /// The row of `mappings.md` that it belongs to.
    pub row: &'static str,
    /// The check. It is given a world of its own.
    pub check: fn(Box<dyn World>) -> BoxFuture<'static, Checked>,
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.row, self.name)
    }
}
