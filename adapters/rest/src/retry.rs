//! The backoff between attempts of a request, and the budget that limits the retries of a client.
//!
//! Retries have three layers: this client repeats a request, up to `max_attempts` and within its budget; a key-value
//! write starts again where other writers change the same items ([`attempt`](crate::attempt)); and the platform delivers
//! an event again if its handler failed, by its `RetryPolicy`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::clock;

use crate::ClientConfig;

/// The cost of a retry after a timeout, which has used more of the service's time.
pub(crate) const COST_OF_TIMEOUT: u32 = 10;
/// The cost of any other retry.
pub(crate) const COST: u32 = 5;
/// The tokens that a call returns which succeeds without a retry.
const REWARD: u32 = 1;
/// The tokens of a full budget.
const FULL: u32 = 500;

/// The retry budget, which keeps clients from overloading a service that fails: a bucket of 500 tokens. A
/// retry takes 5, or 10 after a timeout, and is not made without them. A call that succeeds without a
/// retry returns 1; one that succeeds after retries returns the tokens of its last retry.
///
/// The numbers are from the standard retry mode of AWS's SDKs
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    /// Takes the tokens of a retry. Returns `false`, and takes none, where too few are left.
    pub(crate) fn take(&self, cost: u32) -> bool {
        let take = |tokens: u32| tokens.checked_sub(cost);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Returns the tokens of a call that succeeded. `cost` is that of its last retry; 0 without a retry.
    pub(crate) fn succeeded(&self, cost: u32) {
        let give = |tokens: u32| (tokens < FULL).then(|| FULL.min(tokens + cost.max(REWARD)));
        let _full = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
    }
}

/// How long to wait before retry `number`, counted from 1.
///
/// A random time up to `min_backoff`, doubled for each earlier retry, so that clients that failed together
/// do not retry together. Where the service requested `after`, that time plus up to `min_backoff`. Never
/// more than `max_backoff`.
pub(crate) fn backoff(config: &ClientConfig, number: u32, after: Option<Duration>) -> Duration {
    let wait = match after {
        Some(after) => after.saturating_add(up_to(config.min_backoff)),
        None => {
            let doubled = config.min_backoff.saturating_mul(1 << number.saturating_sub(1).min(30));
            up_to(doubled.min(config.max_backoff))
        }
    };
    wait.min(config.max_backoff)
}

fn up_to(most: Duration) -> Duration {
    let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(fastrand::u64(0..=most))
}

/// The `Retry-After` of a response with status 429 or 503: seconds or a date.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>
pub(crate) fn retry_after<B>(response: &Response<B>, now: SystemTime) -> Option<Duration> {
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => read(response.headers(), now),
        _ => None,
    }
}

fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(clock::parse(text)?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(status: u16, text: &str) -> Option<Duration> {
        let response = Response::builder().status(status).header(RETRY_AFTER, text).body(()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        retry_after(&response, now)
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(parsed(429, "7"), Some(Duration::from_secs(7)));
        assert_eq!(parsed(503, "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(parsed(503, "Sun, 06 Nov 1993 08:49:37 GMT"), None, "it was a Saturday");
        assert_eq!(parsed(503, "Sat, 06 Nov 1993 08:49:37 GMT"), Some(Duration::ZERO));
        for wrong in ["", "-1", "soon", "1.5", "99999999999999999999"] {
            assert_eq!(parsed(503, wrong), None, "{wrong}");
        }
        assert_eq!(parsed(500, "7"), None);
    }

    #[test]
    fn a_backoff_grows_and_is_capped() {
        let config = ClientConfig {
            min_backoff: Duration::from_millis(10),
            max_backoff: Duration::from_millis(35),
            ..ClientConfig::default()
        };
        let longest = |number, after| (0..500).map(|_| backoff(&config, number, after)).max().unwrap();
        for (number, limit) in [(1, 10), (2, 20), (3, 35), (40, 35), (u32::MAX, 35)] {
            let longest = longest(number, None);
            assert!(longest <= Duration::from_millis(limit), "{number}: {longest:?}");
            assert!(longest >= Duration::from_millis(limit * 8 / 10), "{number}: {longest:?}");
        }
        let shortest = (0..500).map(|_| backoff(&config, 3, None)).min().unwrap();
        assert!(shortest <= Duration::from_millis(7), "full jitter: {shortest:?}");
        let requested = Some(Duration::from_millis(20));
        assert!((0..500).all(|_| backoff(&config, 1, requested) >= Duration::from_millis(20)));
        assert!(longest(1, requested) <= Duration::from_millis(30));
        assert_eq!(longest(1, Some(Duration::MAX)), Duration::from_millis(35));
    }

    #[test]
    fn a_budget_is_used_up_and_refilled() {
        let budget = Budget::default();
        assert_eq!((0..1000).filter(|_| budget.take(COST_OF_TIMEOUT)).count(), 50);
        for _ in 0..4 {
            budget.succeeded(0);
        }
        assert!(!budget.take(COST));
        budget.succeeded(0);
        assert!(budget.take(COST));
        budget.succeeded(COST_OF_TIMEOUT);
        assert!(budget.take(COST_OF_TIMEOUT));
        (0..2000).for_each(|_| budget.succeeded(0));
        assert_eq!((0..1000).filter(|_| budget.take(COST)).count(), 100, "never more than full");
    }
}
