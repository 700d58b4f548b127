//! Trials of pub/sub.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod access;
pub mod backlog;
pub mod batch;
pub mod dead_letters;
pub mod delays;
pub mod delivery;
pub mod durability;
pub mod limits;
pub mod ordering;
pub mod retry;
pub mod subscriptions;
pub mod trace;

use std::sync::Arc;
use std::time::Duration;

use isobar::pub_sub::{DeadLetter, Message, Subscription, Topic};
use isobar::{App, EventQueue, Outcome};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::{HarnessResult, RunningApp, Trial, World};

/// All trials of pub/sub.
pub fn all() -> Vec<Trial> {
    [
        delivery::all(),
        retry::all(),
        dead_letters::all(),
        ordering::all(),
        subscriptions::all(),
        delays::all(),
        batch::all(),
        limits::all(),
        trace::all(),
        access::all(),
        durability::all(),
        backlog::all(),
    ]
    .concat()
}

/// The items that handlers recorded, in their order. Clones share them.
#[derive(Debug)]
pub(crate) struct Recorded<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Recorded<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Recorded<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Recorded<T> {
    /// Records an item.
    pub(crate) fn add(&self, item: T) {
        self.0.lock().push(item);
    }

    /// The number of items.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// All items.
    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().clone()
    }

    /// The only item; a trial with fewer or more fails.
    pub(crate) fn only(&self) -> T {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "one was expected");
        all.remove(0)
    }
}

impl<M: Clone> Recorded<Message<M>> {
    /// The bodies.
    fn bodies(&self) -> Vec<M> {
        self.all().into_iter().map(|message| message.body).collect()
    }

    /// The attempts.
    fn attempts(&self) -> Vec<u32> {
        self.all().into_iter().map(|message| message.attempt).collect()
    }
}

/// The topic that [`worker`] handles.
const JOBS: &str = "jobs";

/// The longest wait before the second delivery by [`worker`].
const MIN_BACKOFF: Duration = Duration::from_secs(60);

/// The longest wait before any delivery by [`worker`].
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// The topic `jobs`, opened outside the worker.
fn jobs<M>(world: &dyn World) -> Topic<M> {
    world.cloud().topic(JOBS)
}

/// Adds a handler that notes every message of a subscription and answers what `answer` makes of it.
fn noting<M>(
    app: App,
    subscription: impl Into<Subscription<M>>,
    recorded: &Recorded<Message<M>>,
    answer: impl Fn(&Message<M>) -> Outcome + Send + Sync + 'static,
) -> App
where
    M: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let recorded = recorded.clone();
    app.on_message(subscription, move |message: Message<M>, _cx| {
        recorded.add(message.clone());
        let outcome = answer(&message);
        async move { outcome }
    })
}

/// Starts an app that notes every message of `jobs` and answers what `answer` makes of it.
async fn worker<M>(
    world: &dyn World,
    attempts: u32,
    recorded: &Recorded<Message<M>>,
    answer: impl Fn(&Message<M>) -> Outcome + Send + Sync + 'static,
) -> HarnessResult<Box<dyn RunningApp>>
where
    M: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let recorded = recorded.clone();
    let app = move |cloud: &isobar::Cloud| {
        let jobs = cloud.topic::<M>(JOBS).subscribe_only();
        let subscription =
            jobs.subscription("default").with_max_attempts(attempts).with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        noting(App::new("worker"), subscription, &recorded, answer)
    };
    world.run(app).await
}

/// The answer of a worker that is content with everything.
fn ack<M>(_: &Message<M>) -> Outcome {
    Outcome::Ack
}

/// The answer of a worker that never gets anything done.
fn fail<M>(message: &Message<M>) -> Outcome {
    Outcome::retry(format!("attempt {} failed", message.attempt))
}

/// Moves the clock past any backoff that a worker may be in, and delivers.
async fn deliver_later(world: &dyn World, app: &dyn RunningApp) -> HarnessResult<()> {
    world.advance(MAX_BACKOFF)?;
    app.deliver().await
}

/// The dead letters of `jobs`.
async fn dead_jobs(app: &dyn RunningApp) -> HarnessResult<Vec<DeadLetter>> {
    app.dead_letters(&EventQueue::topic(JOBS)).await
}
