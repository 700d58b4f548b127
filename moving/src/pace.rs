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
    /// How often the limit was lowered.
    lowered: u64,
    /// Requests that succeeded since the last change of the limit.
    served: usize,
    paused: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rates: Rates, ending: Ending) -> Self {
        let state = State { limit: FIRST, active: 0, lowered: 0, served: 0, paused: None };
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
        let entered = self.unless_ending(self.enter()).await?;
        let done = request().await;
        if done.is_ok() {
            self.speed_up(entered.lowered);
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
                    return Entered { pace: self, lowered: state.lowered };
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
        (state.limit, state.served, state.lowered) = ((state.limit / 2).max(1), 0, state.lowered + 1);
        if error.kind() == ErrorKind::Throttled {
            let until = Instant::now() + wait;
            state.paused = Some(state.paused.map_or(until, |paused| paused.max(until)));
        }
    }

    /// A request that began before the limit was lowered does not show that the service can take more.
    fn speed_up(&self, lowered: u64) {
        let mut state = self.state.lock();
        if lowered != state.lowered {
            return;
        }
        state.served += 1;
        if state.served >= state.limit {
            (state.limit, state.served) = ((state.limit + 1).min(MOST), 0);
            drop(state);
            self.changed.notify_one();
        }
    }
}

/// A request in flight.
struct Entered<'a> {
    pace: &'a Pace,
    lowered: u64,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.pace.state.lock().active -= 1;
        self.pace.changed.notify_one();
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::stop::Stop;

    const LATENCY: Duration = Duration::from_millis(20);

    /// 64 callers of a service that throttles from the first second to the second one. Returns when each request began, with the
    /// number of requests that were in flight.
    async fn throttled(retry_after: Option<Duration>) -> Vec<(Duration, usize)> {
        let pace = Arc::new(Pace::new(Rates::default(), Ending::new(Stop::default())));
        let (began, active) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let log: Arc<Mutex<Vec<(Duration, usize)>>> = Arc::default();
        let callers = (0..64).map(|_| {
            let (pace, active, log) = (Arc::clone(&pace), Arc::clone(&active), Arc::clone(&log));
            let request = move || {
                let (active, log) = (Arc::clone(&active), Arc::clone(&log));
                async move {
                    let at = began.elapsed();
                    log.lock().push((at, active.fetch_add(1, Ordering::Relaxed) + 1));
                    tokio::time::sleep(LATENCY).await;
                    active.fetch_sub(1, Ordering::Relaxed);
                    let error = Error::throttled("slow down");
                    match at.as_secs() {
                        1 => Err(retry_after.map_or(error.clone(), |after| error.with_retry_after(after))),
                        _ => Ok(()),
                    }
                }
            };
            tokio::spawn(async move {
                while began.elapsed() < Duration::from_secs(20) {
                    pace.run(&request).await.unwrap();
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        std::mem::take(&mut *log.lock())
    }

    fn most(log: &[(Duration, usize)], from: Duration, to: Duration) -> usize {
        log.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, active)| *active).max().unwrap_or_default()
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn check(log: &[(Duration, usize)], pause: Range<Duration>) {
        assert!(most(log, SECOND / 2, SECOND) > FIRST, "it did not become faster");
        assert_eq!(most(log, pause.start, pause.end), 0, "requests were sent in the pause");
        let slow = most(log, pause.end, pause.end + 3 * LATENCY);
        assert!((1..=4).contains(&slow), "{slow} requests were in flight after the pause");
        assert_eq!(most(log, 10 * SECOND, 20 * SECOND), MOST, "it did not become fast again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_throttles_receives_fewer_requests() {
        let log = throttled(None).await;
        let refused = log.iter().filter(|(at, _)| at.as_secs() == 1).count();
        assert!(refused < 100, "{refused} requests were sent to a service that throttles");
        check(&log, SECOND + 2 * LATENCY..SECOND + FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_states_a_pause_receives_no_request_in_it() {
        let log = throttled(Some(5 * SECOND)).await;
        check(&log, SECOND + 2 * LATENCY..6 * SECOND);
    }
}
