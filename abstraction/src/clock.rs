//! Time: isobar reads it from a [`Clock`] only.
//!
//! Deadlines, leases, expiry and schedules use the clock of the provider. A test replaces it with a [`ManualClock`] and
//! moves it, so that a trial of an hour takes no time and has no race. The functions of this module never panic: a clock
//! of a machine, or a time from a service, can be any number.

use std::fmt::Debug;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;

/// A source of time. A provider has one clock for all its operations.
///
/// Implementers must accept any duration without a panic, and must wake a sleeping task when its time has come. The clock
/// may jump, backwards too: callers must not subtract its times without a check.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time in UTC. It need not be monotonic.
    fn now(&self) -> SystemTime;

    /// Waits until at least `duration` has passed on this clock. For deadlines, schedules and leases.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Waits between two attempts of an operation. The length has no meaning for the result.
    ///
    /// It must end on its own, also on a clock that does not move; [`sleep`](Self::sleep) does not.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A clock that moves only by [`advance`](Self::advance): the clock of [`Cloud::memory`](crate::Cloud::memory) and of tests.
/// Clones share the time.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::clock::ManualClock;
/// use isobar_abstraction::driver::Clock;
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
    /// A clock whose time is `now`.
    pub fn new(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(State { now, sleepers: Vec::new() })))
    }

    /// Moves the time forward and wakes the tasks whose sleep has ended. The latest time is the end of the year 9999.
    pub fn advance(&self, by: Duration) {
        let mut state = self.0.lock();
        state.now = later(state.now, by);
        let sleepers = std::mem::take(&mut state.sleepers);
        drop(state);
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl Default for ManualClock {
    /// A clock at 2026-01-01T00:00:00Z.
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
        let until = later(self.now(), duration);
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

/// Seconds from 1970 to the last second of the year 9999, the latest that
/// [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6) can express.
const LAST: u64 = 253_402_300_799;

/// Seconds from the first second of the year 1 to 1970.
const FIRST: u64 = 62_135_596_800;

/// The latest time that isobar reads and prints: the end of the year 9999.
pub fn latest() -> SystemTime {
    let last = Duration::from_millis(LAST * 1_000 + 999);
    SystemTime::UNIX_EPOCH.checked_add(last).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// `time + by` without a panic: a sum that the type cannot hold becomes the [`latest`] time.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::clock;
///
/// let now = SystemTime::now();
/// assert_eq!(clock::later(now, Duration::from_secs(1)), now + Duration::from_secs(1));
/// assert_eq!(clock::later(now, Duration::MAX), clock::latest());
/// ```
pub fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or_else(|| latest().max(time))
}

/// The time in UTC, to print and to sign. A time before the year 1 or after the year 9999, from a clock that is set wrong,
/// becomes the first or the last time of that range.
pub fn to_utc(time: SystemTime) -> DateTime<Utc> {
    let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since.as_secs() <= LAST => (since.as_secs().cast_signed(), since.subsec_nanos()),
        Ok(_) => (LAST.cast_signed(), 999_999_999),
        Err(before) => {
            let before = before.duration();
            // The nanoseconds of `chrono` count forward.
            let part = u64::from(before.subsec_nanos() > 0);
            match before.as_secs().saturating_add(part) {
                whole if whole <= FIRST => {
                    (-whole.cast_signed(), (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000)
                }
                _ => (-FIRST.cast_signed(), 0),
            }
        }
    };
    DateTime::from_timestamp(seconds, nanos).unwrap_or_default()
}

/// Parses a time from a service or a client: RFC 3339 with any number of digits below a second; the same without an
/// offset, as UTC; and the form of HTTP and mail (`Fri, 28 Aug 2020 00:00:00 GMT`).
///
/// Returns `None` for any other text, and for a time before 1970 or after the year 9999.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::clock;
///
/// let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_598_572_800);
/// for text in ["2020-08-28T00:00:00Z", "2020-08-28T00:00:00", "2020-08-28T02:00:00.000+02:00"] {
///     assert_eq!(clock::parse(text), Some(time));
/// }
/// assert_eq!(clock::parse("soon"), None);
/// ```
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    // `chrono` rejects RFC 3339 without an offset, and a second format would make the binary larger than this.
    let in_utc = || DateTime::parse_from_rfc3339(&format!("{text}Z"));
    let time = DateTime::parse_from_rfc3339(text).or_else(|_| in_utc());
    from_utc(&time.or_else(|_| DateTime::parse_from_rfc2822(text)).ok()?.to_utc())
}

/// For adapters: the time at which a message or an event was sent, from the time that its service reported.
///
/// Where the report is missing or cannot be read, adapters pass 1970; the result is then `now`, with a warning in the
/// log: a message must not be lost for a missing time, and 1970 would be a wrong one.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::clock;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
/// let reported = now - Duration::from_secs(3);
/// assert_eq!(clock::sent_at(reported, now), reported);
/// assert_eq!(clock::sent_at(SystemTime::UNIX_EPOCH, now), now);
/// ```
pub fn sent_at(reported: SystemTime, now: SystemTime) -> SystemTime {
    if reported != SystemTime::UNIX_EPOCH {
        return reported;
    }
    tracing::warn!("an event reports no readable time of sending; its time of delivery is used instead");
    now
}

/// The time; `None` before 1970 and after the year 9999.
pub fn from_utc(time: &DateTime<Utc>) -> Option<SystemTime> {
    let seconds = u64::try_from(time.timestamp()).ok().filter(|seconds| *seconds <= LAST)?;
    // A leap second has more than 999,999,999 nanoseconds.
    let nanos = time.timestamp_subsec_nanos().min(999_999_999);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// Milliseconds since 1970, the form in which isobar stores times. A time before 1970 is 0.
pub fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time from [`to_millis`]. A time after the year 9999 becomes the [`latest`] time.
pub fn from_millis(millis: u64) -> SystemTime {
    later(SystemTime::UNIX_EPOCH, Duration::from_millis(millis)).min(latest())
}

/// A time in JSON in the form of [`to_millis`]: `#[serde(with = "isobar_abstraction::clock::millis")]`.
pub mod millis {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a time as an integer of milliseconds.
    pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::to_millis(*time))
    }

    /// Reads a time from an integer of milliseconds.
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

/// Formats a time as RFC 3339 in UTC with milliseconds, within the range of [`to_utc`].
pub fn to_rfc3339(time: SystemTime) -> String {
    to_utc(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Formats a time for HTTP ([RFC 9110, 5.6.7](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7)) with whole seconds,
/// such as `Fri, 28 Aug 2020 00:00:00 GMT`, within the range of [`to_utc`].
pub fn to_http(time: SystemTime) -> String {
    to_utc(time).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
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

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn every_time_can_be_printed_and_stored() {
        let far = at(300_000 * 365 * 86_400);
        let old = SystemTime::UNIX_EPOCH - Duration::from_millis(1_500);
        assert_eq!(to_rfc3339(old), "1969-12-31T23:59:58.500Z");
        assert_eq!(to_rfc3339(SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 50)), "0001-01-01T00:00:00.000Z");
        assert_eq!(to_rfc3339(far), "9999-12-31T23:59:59.999Z");
        assert_eq!(to_rfc3339(later(at(0), Duration::from_secs(i64::MAX as u64))), "9999-12-31T23:59:59.999Z");
        assert_eq!(to_rfc3339(from_millis(u64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(to_rfc3339(at(1_598_572_800)), "2020-08-28T00:00:00.000Z");
        assert_eq!(to_http(at(1_598_572_800) + Duration::from_millis(999)), "Fri, 28 Aug 2020 00:00:00 GMT");
        assert_eq!((from_millis(u64::MAX), later(far, Duration::MAX)), (latest(), far));
        assert_eq!(from_millis(to_millis(at(7))), at(7));
    }

    #[test]
    fn a_clock_advances_and_sleeps_by_any_duration() {
        let clock = ManualClock::default();
        assert!(clock.sleep(Duration::MAX).now_or_never().is_none());
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), latest());
        clock.advance(Duration::MAX);
        assert!(clock.sleep(Duration::MAX).now_or_never().is_some(), "there is no later time");
    }

    #[test]
    fn a_time_is_parsed_in_every_form_that_services_write() {
        for text in [
            "2020-08-28T00:00:00Z",
            "2020-08-28T00:00:00",
            " 2020-08-28 00:00:00 ",
            "2020-08-28T00:00:00.0000000Z",
            "2020-08-28T00:00:00.0000000000001",
            "2020-08-28T02:00:00+02:00",
            "Fri, 28 Aug 2020 00:00:00 GMT",
        ] {
            assert_eq!(parse(text), Some(at(1_598_572_800)), "{text}");
        }
        assert_eq!(parse("2020-08-28T00:00:00.25"), Some(at(1_598_572_800) + Duration::from_millis(250)));
        for text in [
            "",
            "Z",
            "soon",
            "5",
            "1598572800",
            "2020-08-28",
            "2020-02-30T00:00:00Z",
            "0001-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
            "+262142-12-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("9999-12-31T23:59:59.999Z"), Some(latest()));
        assert!(parse("2016-12-31T23:59:60Z").is_some(), "a leap second");
    }
}
