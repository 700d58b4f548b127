//! The harness of a backend, the world that it opens for each trial, and the trial.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use isobar::clock::ManualClock;
use isobar::driver::Clock;
use isobar::driver::pub_sub::Backlog;
use isobar::manifest::Manifest;
use isobar::pub_sub::DeadLetter;
use isobar::{App, Body, BoxError, Cloud, Error, EventQueue, IntoApp, Result, TestResponse};

use crate::{HarnessResult, Lacks};

/// The result of a trial, and of the functions that trials share. An assertion that fails panics.
pub type TrialResult<T = ()> = std::result::Result<T, BoxError>;

/// A function that builds an app on a cloud.
pub type BuildApp = Box<dyn FnOnce(&Cloud) -> Result<App> + Send>;

/// The harness of one backend: it opens a [`World`] for each trial.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// The name of the backend, which is the first part of the names of its trials.
    fn name(&self) -> &'static str;

    /// The trials that the backend cannot pass, with the reasons. They are ignored.
    fn gaps(&self) -> &'static [Gap] {
        &[]
    }

    /// Opens a world in which nothing is stored and nothing runs. Trials run in parallel, each in a world that shares
    /// no data with any other.
    async fn open(&self) -> Result<Box<dyn World>>;

    /// The longest run of a trial. It ends a trial that hangs; no trial waits for it.
    fn timeout(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Runs once after the last trial, also where trials failed: a harness of a real account deletes here what its
    /// worlds made. An error fails the run.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Trials that a backend cannot pass, and the reason.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// The name of a trial, or the id of a row for all of its trials, such as `KV-12`.
    pub trial: &'static str,
    /// The reason, as a reader of the report must know it to use the backend.
    pub reason: &'static str,
}

impl Gap {
    /// Whether the gap names this trial or its row.
    pub fn covers(&self, trial: &Trial) -> bool {
        [trial.name, trial.row].contains(&self.trial)
    }
}

/// The data, the clock and the network of one trial. Only [`cloud`](Self::cloud) is required: a trial that needs a part
/// that the harness lacks is ignored, with that reason.
#[async_trait]
pub trait World: Send + Sync {
    /// A new cloud over the data of this world, without declared resources.
    fn cloud(&self) -> Cloud;

    /// The clock of everything in this world, where trials can move it.
    fn clock(&self) -> Option<&ManualClock> {
        None
    }

    /// Starts an app on the host of the backend. Errors: that of `app`, and those of its declaration.
    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        drop(app);
        Err(Lacks::Host.into())
    }

    /// Sets the value of a secret or a configuration in the store of the world, as a person would; `None` removes it. `name` is
    /// the logical name.
    async fn set_secret(&self, name: &str, value: Option<&str>) -> HarnessResult<()> {
        let _ = (name, value);
        Err(Lacks::Secrets.into())
    }

    /// The backlog of a queue, which exists then, whether an app handles it or not.
    async fn backlog(&self, queue: &EventQueue) -> HarnessResult<Arc<dyn Backlog>> {
        let _ = queue;
        Err(Lacks::Backlog.into())
    }

    /// Sends a request to the host in its URL, such as a signed URL.
    async fn fetch(&self, request: http::Request<Bytes>) -> HarnessResult<TestResponse> {
        drop(request);
        Err(Lacks::Fetch.into())
    }

    /// Ends all that runs, as the end of the process does, and opens the same data again with a new provider. No handle of
    /// the old world is in use then.
    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Err(Lacks::Reopen.into())
    }
}

/// An app that a world runs. All but the manifest may be lacking.
#[async_trait]
pub trait RunningApp: Send + Sync {
    /// The manifest of the app.
    fn manifest(&self) -> &Manifest;

    /// Sends a request to the app.
    async fn http(&self, request: http::Request<Body>) -> HarnessResult<TestResponse> {
        drop(request);
        Err(Lacks::Http.into())
    }

    /// Calls a function directly. Errors: those of the function.
    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        let _ = (function, payload);
        Err(Lacks::Invoke.into())
    }

    /// Runs a schedule now. Errors: that of its handler.
    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        let _ = schedule;
        Err(Lacks::Tick.into())
    }

    /// Delivers messages, object events and the writes of tables, and returns when none is due and none is being handled.
    async fn deliver(&self) -> HarnessResult<()> {
        Err(Lacks::Deliver.into())
    }

    /// The dead letters of a queue.
    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        let _ = queue;
        Err(Lacks::DeadLetters.into())
    }

    /// Puts the dead letters of a queue back, to be delivered again to that queue only. Returns their number.
    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        let _ = queue;
        Err(Lacks::Redrive.into())
    }
}

impl dyn World + '_ {
    /// [`start`](World::start) with any function that builds an app.
    pub async fn run<A: IntoApp>(
        &self,
        app: impl FnOnce(&Cloud) -> A + Send + 'static,
    ) -> HarnessResult<Box<dyn RunningApp>> {
        self.start(Box::new(|cloud| app(cloud).into_app())).await
    }

    /// Moves the clock on. Errors: [`Lacks::Clock`].
    pub fn advance(&self, by: Duration) -> std::result::Result<(), Lacks> {
        self.clock().ok_or(Lacks::Clock)?.advance(by);
        Ok(())
    }

    /// The time of the world: of its own clock, or of the clock of its cloud.
    pub fn now(&self) -> SystemTime {
        self.clock().map_or_else(|| self.cloud().clock().now(), Clock::now)
    }
}

impl dyn RunningApp + '_ {
    /// GET of a path.
    pub async fn get(&self, path: &str) -> HarnessResult<TestResponse> {
        let request = http::Request::get(path).body(Body::empty());
        self.http(request.map_err(|error| Error::invalid_input("the path is not valid").with_source(error))?).await
    }
}

/// One check of one guarantee.
#[derive(Clone, Copy)]
pub struct Trial {
    /// The guarantee, as the name of the function that checks it.
    pub name: &'static str,
    /// The id of the [row](crate::rows) to which it belongs.
    pub row: &'static str,
    /// The check, which runs in a world that no other trial has.
    pub check: fn(Box<dyn World>) -> BoxFuture<'static, TrialResult>,
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.row, self.name)
    }
}
