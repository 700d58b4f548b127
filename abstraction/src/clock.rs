//! Time, injected: nothing in isobar asks the machine what time it is but through a [`Clock`].

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;

/// Where the time comes from. A provider hands out one clock for all that it does.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now, in UTC. Need not be monotonic.
    fn now(&self) -> SystemTime;

    /// Ends when at least `duration` has passed on this clock. For deadlines, schedules, leases.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// A pause between two tries of the same thing, whose length matters to nobody's meaning.
    ///
    /// Differs from [`sleep`](Self::sleep) on a clock that stands still: it must end by itself.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A clock that moves only when it is told to: the clock of [`Cloud::memory`](crate::Cloud::memory)
/// and of every test.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::{Clock, ManualClock};
///
/// let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: SystemTime,
    sleepers: Vec<Waker>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(State { now, sleepers: Vec::new() })))
    }

    /// Moves the clock on and wakes those who slept long enough.
    pub fn advance(&self, by: Duration) {
        let mut state = self.0.lock();
        state.now += by;
        let sleepers = std::mem::take(&mut state.sleepers);
        drop(state);
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl Default for ManualClock {
    /// Stands at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        self.0.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        let until = self.now() + duration;
        Box::pin(future::poll_fn(move |cx| {
            let mut state = clock.0.lock();
            if state.now >= until {
                return Poll::Ready(());
            }
            if !state.sleepers.iter().any(|sleeper| sleeper.will_wake(cx.waker())) {
                state.sleepers.push(cx.waker().clone());
            }
            Poll::Pending
        }))
    }

    fn pause(&self, _: Duration) -> BoxFuture<'static, ()> {
        let mut yielded = false;
        Box::pin(future::poll_fn(move |cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    }
}

/// Milliseconds since 1970, the form in which isobar stores a time. A time before 1970 is 0.
pub fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time that [`to_millis`] stored.
pub fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// A time in JSON, as [`to_millis`]: `#[serde(with = "isobar_abstraction::clock::millis")]`.
pub mod millis {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a time.
    pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::to_millis(*time))
    }

    /// Reads a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        u64::deserialize(deserializer).map(super::from_millis)
    }
}

/// A duration in JSON, in milliseconds.
pub(crate) mod duration_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// RFC 3339 in UTC with milliseconds, as isobar prints a time.
pub fn to_rfc3339(time: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(time).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn sleep_ends_only_when_the_clock_is_advanced() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(Duration::from_secs(2));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        assert!(sleep.now_or_never().is_some());
    }
}
