//! Trials of work that runs once. The names of bugs are those of other libraries, in which users found them.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod callers;
pub mod faults;
pub mod guard;

pub mod input;
pub mod interrupted;
pub mod lease;
pub mod messages;
mod scripted;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use isobar::clock::ManualClock;
use isobar::once::{Attempt, Once, OnceResult};
use isobar::{Context, Result};

use crate::trials::pub_sub::Recorded;
use crate::{Trial, World};

/// All trials of work that runs once.
pub fn all() -> Vec<Trial> {
    [callers::all(), interrupted::all(), lease::all(), input::all(), faults::all(), messages::all(), guard::all()]
        .concat()
}

/// The time that is left to the callers of trials, and the lease that follows from it.
const LEFT: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(90);

/// A caller with a clock of its own: leases are measured by the clock of the context, on every backend.
struct Caller {
    clock: ManualClock,
    cx: Context,
}

impl Caller {
    fn at(time: SystemTime) -> Self {
        let clock = ManualClock::new(time);
        let cx = Context::new("trial", Arc::new(clock.clone())).with_timeout(LEFT);
        Self { clock, cx }
    }

    /// A caller whose clock is that of the world now.
    fn of(world: &dyn World) -> Self {
        Self::at(world.now())
    }

    /// The same caller in a new invocation, some time later.
    fn after(self, time: Duration) -> Self {
        self.clock.advance(time);
        Self { cx: self.cx.with_timeout(LEFT), ..self }
    }

    /// Runs work that records its attempt, and returns the number of the effect.
    async fn run(&self, once: &Once, key: &str, effects: &Recorded<Attempt>) -> Result<OnceResult<usize>> {
        let effects = effects.clone();
        once.run(&self.cx, key, async move |attempt| {
            // A point at which it can be dropped, before the effect and after it.
            tokio::task::yield_now().await;
            effects.add(attempt);
            tokio::task::yield_now().await;
            Ok(effects.count())
        })
        .await
    }

    /// Leaves a key behind as a process does that ends in its work.
    async fn interrupt(&self, once: &Once, key: &str) {
        let work = async |_| std::future::pending::<Result<()>>().await;
        let reached = Recorded::default();
        let reach = async |attempt| {
            reached.add(());
            work(attempt).await
        };
        let mut run = pin!(once.run(&self.cx, key, reach));
        poll_fn(|task| {
            let polled = run.as_mut().poll(task);
            assert!(polled.is_pending(), "{polled:?}");
            if reached.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Polls a future at most this number of times, then drops it. Its output, if it has ended.
async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|task| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(task) {
            // The caller goes away now, and not when the future is woken.
            Poll::Pending if left == 0 => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}

/// The wait that an unfinished try reports.
fn wait_of<T: std::fmt::Debug>(result: OnceResult<T>) -> Duration {
    match result {
        OnceResult::InProgress { retry_after } => retry_after,
        ended => panic!("not in progress: {ended:?}"),
    }
}
