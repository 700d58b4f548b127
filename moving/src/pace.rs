//! The pace of the requests to one side: limits of the user, and what the service itself can take.

use std::future::Future;
use std::time::Duration;

use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::stop::{Ending, is_stopped, stopped};

/// The most requests in flight to one side.
const MOST: usize = 64;

/// The requests in flight at the beginning.
const FIRST: usize = 16;

/// For how long a request is repeated that fails each time. The adapter has repeated it before that.
const LIMIT: Duration = Duration::from_secs(120);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Limits of the requests to each side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Requests per second. A page of a scan is one, and so is each item that is written or read by its key.
    pub requests: Option<f64>,
    /// Millions of bytes per second.
    pub megabytes: Option<f64>,
}

/// Lets requests to one side begin. Fewer are in flight after one was throttled, and more after others were not.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    changed: Notify,
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
    ending: Ending,
}

#[derive(Debug)]
struct State {
    limit: usize,
    active: usize,
    /// Requests since the last change of the limit that were not throttled.
    served: usize,
    paused: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rates: Rates, ending: Ending) -> Self {
        let state = State { limit: FIRST, active: 0, served: 0, paused: None };
        let bucket = |rate: Option<f64>, scale: f64| rate.map(|rate| Bucket::new(rate * scale));
        let (requests, bytes) = (bucket(rates.requests, 1.0), bucket(rates.megabytes, 1e6));
        Self { state: Mutex::new(state), changed: Notify::new(), requests, bytes, ending }
    }

    /// Waits until so many bytes may be sent or received. Errors: [`stopped`] when the run ends meanwhile.
    pub(crate) async fn bytes(&self, bytes: u64) -> Result<()> {
        match &self.bytes {
            Some(bucket) => self.unless_ending(bucket.take(bytes as f64)).await,
            None => Ok(()),
        }
    }

    /// Waits, and not longer than the run. Errors: [`stopped`].
    async fn unless_ending<T>(&self, wait: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.ending.wait() => Err(stopped()),
            done = wait => Ok(done),
        }
    }

    /// The most items of one request: those of a second, where the user limits the requests.
    pub(crate) fn most_items(&self, most: usize) -> usize {
        // A number of requests is positive, and a cast of one that is too large is the largest number.
        self.requests.as_ref().map_or(most, |bucket| most.min(bucket.rate as usize).max(1))
    }

    /// Waits for a request inside of another one.
    pub(crate) async fn request(&self) -> Result<()> {
        match &self.requests {
            Some(bucket) => self.unless_ending(bucket.take(1.0)).await,
            None => Ok(()),
        }
    }

    /// [`run_many`](Self::run_many) for a request that counts as one.
    pub(crate) async fn run<T, F: Future<Output = Result<T>>>(&self, request: impl Fn() -> F) -> Result<T> {
        self.run_many(1, request).await
    }

    /// Runs a request of so many items that may be repeated, until it succeeds, fails for good or has failed for two minutes.
    /// Errors: those of the request; [`stopped`] where it waits when the run ends.
    pub(crate) async fn run_many<T, F: Future<Output = Result<T>>>(
        &self,
        items: usize,
        request: impl Fn() -> F,
    ) -> Result<T> {
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let error = match self.once(items, &request).await {
                Err(error) if error.is_retryable() && !is_stopped(&error) => error,
                done => return done,
            };
            let left = LIMIT.checked_sub(began.elapsed());
            let wait = error.retry_after().unwrap_or(pause);
            if left.is_none_or(|left| left < wait) {
                return Err(error);
            }
            self.slow_down(&error, wait);
            self.unless_ending(tokio::time::sleep(wait)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn once<T, F: Future<Output = Result<T>>>(&self, items: usize, request: &impl Fn() -> F) -> Result<T> {
        if let Some(bucket) = &self.requests {
            self.unless_ending(bucket.take(items as f64)).await?;
        }
        let _entered = self.unless_ending(self.enter()).await?;
        let done = request().await;
        if done.is_ok() {
            self.speed_up();
        }
        done
    }

    async fn enter(&self) -> Entered<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let paused = {
                let mut state = self.state.lock();
                let paused = state.paused.filter(|until| *until > Instant::now());
                if paused.is_none() && state.active < state.limit {
                    state.active += 1;
                    return Entered(self);
                }
                paused
            };
            match paused {
                Some(until) => tokio::time::sleep_until(until).await,
                None => changed.await,
            }
        }
    }

    fn slow_down(&self, error: &Error, wait: Duration) {
        let mut state = self.state.lock();
        (state.limit, state.served) = ((state.limit / 2).max(1), 0);
        if error.kind() == ErrorKind::Throttled {
            let until = Instant::now() + wait;
            state.paused = Some(state.paused.map_or(until, |paused| paused.max(until)));
        }
    }

    fn speed_up(&self) {
        let mut state = self.state.lock();
        state.served += 1;
        if state.served >= state.limit {
            (state.limit, state.served) = ((state.limit + 1).min(MOST), 0);
            drop(state);
            self.changed.notify_one();
        }
    }
}

/// A request in flight.
struct Entered<'a>(&'a Pace);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.state.lock().active -= 1;
        self.0.changed.notify_one();
    }
}

/// A rate, in units per second.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    /// When the units that were taken until now are due.
    due: Mutex<Option<Instant>>,
}

impl Bucket {
    fn new(rate: f64) -> Self {
        Self { rate: rate.max(f64::MIN_POSITIVE), due: Mutex::new(None) }
    }

    /// The first units of a second do not wait.
    async fn take(&self, units: f64) {
        let now = Instant::now();
        let cost = Duration::try_from_secs_f64(units / self.rate).unwrap_or(Duration::from_secs(3600));
        let at = {
            let mut due = self.due.lock();
            let at = due.unwrap_or(now).max(now);
            *due = Some(at + cost);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}
