//! [`Outcome`]: the result of a handler, and [`RetryPolicy`], which decides what follows.
//!
//! Every host uses [`RetryPolicy::settle`]. The platforms have retry policies too, but they differ in attempts, backoff and
//! the reason of a dead letter; with one rule a message has the same attempts everywhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::with_sources;
use crate::{BoxError, Error, ErrorKind, Origin};

/// The result of a handler for one message, object event, write or tick.
///
/// Handlers may return any type that is [`IntoOutcome`]: `()` and `Ok(())` are `Ack`; an `Err` is `Retry`, or `Reject` if
/// no delivery can succeed. A panic, and a handler that passes its deadline, are `Retry`.
///
/// | outcome | message, object event, write | schedule |
/// |---|---|---|
/// | `Ack` | deleted | done |
/// | `Retry` | delivered again, then a dead letter after the last attempt | failed; the next tick runs as planned |
/// | `Reject` | a dead letter immediately | failed; the next tick runs as planned |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The event is done. It is not delivered again, apart from a duplicate of the service.
    Ack,
    /// Deliver the event again, up to the declared number of attempts: 5, unless the subscription sets another.
    Retry {
        /// The shortest wait, at most that of [`Limits::longest_retry`](crate::profile::Limits::longest_retry); `None` for the
        /// backoff of the trigger.
        after: Option<Duration>,
        /// The reason, for the log and for the dead letter after the last attempt.
        reason: String,
    },
    /// The event can never succeed: move it to the dead letters immediately.
    Reject {
        /// The reason, for the log and the dead letter.
        reason: String,
    },
}

impl Outcome {
    /// `Retry` after the backoff of the trigger: 1 second, doubling up to 5 minutes, unless the subscription sets another.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// `Retry` after at least `after`.
    ///
    /// The longest wait is 6 hours. For a message with an ordering key it differs by provider: 6 hours in memory, on a
    /// laptop and on AWS, 1 minute on Azure, 20 seconds on Google Cloud, where the later messages of the key wait too. A
    /// longer wait is cut to that, with a warning in the log.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use isobar_abstraction::{App, Cloud, Outcome, TestClient};
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let closed = async |_order, _cx| Outcome::retry_after(Duration::from_secs(3_600), "the shop is closed");
    ///     App::new("shop").on_message(&cloud.topic::<u32>("orders"), closed)
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// client.publish("orders", 7_u32).await?;
    /// assert_eq!(client.deliver_all().await?.retried, 1);
    /// client.advance(Duration::from_secs(3_599));
    /// assert_eq!(client.deliver_all().await?.retried, 0);
    /// client.advance(Duration::from_secs(1));
    /// assert_eq!(client.deliver_all().await?.retried, 1);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// `Reject` with a reason.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { reason: reason.into() }
    }

    /// For hosts whose platform distinguishes only success and failure. Errors: `Internal` with the reason.
    pub fn into_result(self) -> crate::Result<()> {
        match self {
            Self::Ack => Ok(()),
            Self::Retry { reason, .. } | Self::Reject { reason } => Err(Error::internal(reason)),
        }
    }
}

/// A type that a handler may return: `()`, [`Outcome`], [`OnceResult`](crate::once::OnceResult), and a `Result` of one of
/// them with any error.
///
/// The reason of an `Err` is the error with its sources, in one line.
///
/// | `Err` | outcome |
/// |---|---|
/// | an isobar [`Error`] of kind `InvalidInput`, `TooLarge` or `Unsupported` and of the [`Origin`] `App` or `Request` | [`Outcome::Reject`] |
/// | any other isobar error | [`Outcome::Retry`], after [`Error::retry_after`] if it has one |
/// | any other error | [`Outcome::Retry`] |
///
/// An error of another type counts as the first isobar error among its sources, as for a
/// [`Problem`](crate::Problem#sources). So JSON that the app cannot read is a retry, unless the app makes an
/// `InvalidInput` of it. `Outcome::from(error)` uses the same rule.
///
/// ```
/// use isobar_abstraction::{Error, IntoOutcome, Outcome, Result};
///
/// fn handle(url: &str) -> Result<()> {
///     if url.starts_with("https://") { Ok(()) } else { Err(Error::invalid_input("not an https URL")) }
/// }
/// // The message becomes a dead letter immediately, with the reason.
/// assert!(matches!(handle("ftp://x").into_outcome(), Outcome::Reject { .. }));
/// ```
pub trait IntoOutcome {
    /// Converts the value to an outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Ack
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: IntoOutcome, E: Into<BoxError>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => of_error(error.into().as_ref()),
        }
    }
}

/// Converts an error by the rule for an `Err`: see [`IntoOutcome`].
impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        of_error(&error)
    }
}

fn of_error(error: &(dyn std::error::Error + 'static)) -> Outcome {
    let (found, reason) = (Error::find(error), chain(error));
    match found.is_some_and(is_final) {
        true => Outcome::Reject { reason },
        false => Outcome::Retry { after: found.and_then(Error::retry_after), reason },
    }
}

/// Would another delivery of the same message have the same error?
fn is_final(error: &Error) -> bool {
    use ErrorKind::{InvalidInput, TooLarge, Unsupported};
    matches!(error.origin(), Origin::App | Origin::Request)
        && matches!(error.kind(), InvalidInput | TooLarge | Unsupported)
}

/// An error and its sources in one line, the form of reasons and logs.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    with_sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The attempts of a trigger and the backoff between them.
///
/// The defaults are 5 attempts, and a backoff of 1 second that doubles up to 5 minutes. In the manifest the times are
/// `min_backoff_ms` and `max_backoff_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The number of deliveries, including the first. At least 1.
    pub max_attempts: u32,
    /// The longest wait before the second delivery; it doubles with each delivery. The actual wait is random, at least half of
    /// it.
    #[serde(rename = "min_backoff_ms", with = "crate::clock::duration_millis")]
    pub min_backoff: Duration,
    /// The limit of the doubling. It does not limit the wait of [`Outcome::retry_after`].
    #[serde(rename = "max_backoff_ms", with = "crate::clock::duration_millis")]
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, min_backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(300) }
    }
}

/// The settlement of an event after its handler ended. A host must apply it, durably.
///
/// The enum is exhaustive: a host that ignored a variant would lose or repeat events, so a new variant must be a compile
/// error there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Delete the event.
    Done,
    /// Deliver the event again after this time, with the next attempt.
    Retry(Duration),
    /// Store the event as a dead letter with this reason, then delete it.
    DeadLetter(String),
}

impl RetryPolicy {
    /// Sets the number of deliveries, including the first; 0 counts as 1.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets the shortest and the longest backoff; `max` is at least `min`.
    #[must_use]
    pub fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.min_backoff, self.max_backoff) = (min, max.max(min));
        self
    }

    /// For hosts: the settlement after delivery number `attempt` ended with `outcome`.
    ///
    /// The backoff is exponential in the attempt, with equal jitter: a random time from half of it to all of it. So a retry
    /// is never immediate, and a thousand messages that fail together are not retried together.
    ///
    /// A dead letter is logged as a warning.
    ///
    /// `longest` limits each wait. A host must pass [`Limits::longest_retry`](crate::profile::Limits::longest_retry) of its
    /// provider.
    ///
    /// ```
    /// use std::time::Duration;
    /// use isobar_abstraction::Outcome;
    /// use isobar_abstraction::driver::{Limits, RetryPolicy, Settlement};
    ///
    /// let policy = RetryPolicy::default().with_max_attempts(2);
    /// let longest = Limits::PORTABLE.longest_retry(None);
    /// let Settlement::Retry(wait) = policy.settle(1, Outcome::retry("busy"), longest) else { panic!() };
    /// assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&wait));
    /// let last = policy.settle(2, Outcome::retry("busy"), longest);
    /// assert_eq!(last, Settlement::DeadLetter("gave up after 2 attempts: busy".to_owned()));
    /// ```
    pub fn settle(&self, attempt: u32, outcome: Outcome, longest: Duration) -> Settlement {
        match outcome {
            Outcome::Ack => Settlement::Done,
            Outcome::Reject { reason } => dead(attempt, reason),
            Outcome::Retry { reason, .. } if attempt >= self.max_attempts => {
                dead(attempt, format!("gave up after {attempt} attempts: {reason}"))
            }
            Outcome::Retry { after: Some(after), .. } => Settlement::Retry(capped(after, longest)),
            Outcome::Retry { after: None, .. } => Settlement::Retry(self.backoff(attempt, longest)),
        }
    }

    fn backoff(&self, attempt: u32, longest: Duration) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.min_backoff.saturating_mul(factor).min(self.max_backoff).min(longest);
        longest / 2 + longest.mul_f64(fastrand::f64() / 2.0)
    }
}

fn dead(attempt: u32, reason: String) -> Settlement {
    tracing::warn!(attempt, reason, "the event becomes a dead letter");
    Settlement::DeadLetter(reason)
}

fn capped(after: Duration, longest: Duration) -> Duration {
    if after > longest {
        let (requested, limit) = (after.as_secs(), longest.as_secs());
        tracing::warn!(
            "a retry after {requested} s is more than the limit: the message is delivered again after {limit} s"
        );
    }
    after.min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Limits;

    const LIMITS: Limits = Limits::PORTABLE;

    #[test]
    fn backoff_grows_with_jitter_and_is_bounded() {
        let policy = RetryPolicy::default().with_max_attempts(100);
        for (attempt, longest) in [(1, 1), (2, 2), (5, 16), (20, 300), (99, 300)] {
            let Settlement::Retry(wait) = policy.settle(attempt, Outcome::retry("x"), LIMITS.retry_after) else {
                panic!("no retry")
            };
            let longest = Duration::from_secs(longest);
            assert!(wait >= longest / 2 && wait <= longest, "attempt {attempt} waits {wait:?}");
        }
    }

    #[test]
    fn the_last_attempt_becomes_a_dead_letter_with_its_reason() {
        let policy = RetryPolicy::default().with_max_attempts(2);
        let outcome = Err::<(), _>(Error::internal("disk on fire")).into_outcome();
        let dead = "gave up after 2 attempts: disk on fire (internal)".to_owned();
        assert_eq!(policy.settle(2, outcome, LIMITS.retry_after), Settlement::DeadLetter(dead));
    }

    #[test]
    fn a_final_error_of_the_app_or_its_arguments_is_a_reject() {
        let rejects = |kind, origin| {
            let outcome = Err::<(), _>(Error::new(kind, "no").with_origin(origin)).into_outcome();
            matches!(outcome, Outcome::Reject { reason } if reason.starts_with("no ("))
        };
        for kind in [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::Unsupported] {
            assert!(rejects(kind, Origin::App) && rejects(kind, Origin::Request), "{kind:?}");
            assert!(!rejects(kind, Origin::Data) && !rejects(kind, Origin::Service), "{kind:?}");
        }
        for kind in [ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::Config, ErrorKind::Internal] {
            assert!(!rejects(kind, Origin::App), "{kind:?}");
        }
        let foreign = Err::<(), BoxError>("no isobar error".into()).into_outcome();
        assert_eq!(foreign, Outcome::retry("no isobar error"));
        assert_eq!(Outcome::from(Error::invalid_input("no")), Outcome::reject("no (invalid-input)"));
    }

    #[test]
    fn a_throttled_error_waits_for_its_retry_after() {
        let error = Error::new(ErrorKind::Throttled, "slow down").with_retry_after(Duration::from_secs(9));
        let outcome = Err::<(), _>(error).into_outcome();
        let settlement = RetryPolicy::default().settle(1, outcome, LIMITS.retry_after);
        assert_eq!(settlement, Settlement::Retry(Duration::from_secs(9)));
    }

    #[test]
    fn no_wait_is_longer_than_the_limit() {
        let policy = RetryPolicy::default().with_max_attempts(u32::MAX);
        for longest in [LIMITS.longest_retry(None), LIMITS.longest_retry(Some("key")), Duration::ZERO] {
            let outcome = Outcome::retry_after(Duration::MAX, "closed");
            assert_eq!(policy.settle(1, outcome, longest), Settlement::Retry(longest));
            let slow = policy.with_backoff(Duration::MAX, Duration::MAX);
            let Settlement::Retry(wait) = slow.settle(u32::MAX - 1, Outcome::retry("x"), longest) else {
                panic!("no retry")
            };
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?}");
        }
        assert_eq!((LIMITS.retry_after.as_secs(), LIMITS.ordered_retry_after.as_secs()), (21_600, 20));
    }
}
