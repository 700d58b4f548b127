//! What a handler answers to an event, and what happens to it then.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::with_sources;
use crate::{BoxError, Error, ErrorKind, Origin};

/// A handler's answer to one message, object event or tick.
///
/// Handlers return anything that is [`IntoOutcome`]: `()` and `Ok(())` are `Ack`; an `Err` is `Retry`, or
/// `Reject` where it says that no delivery can succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Done: never deliver it again.
    Ack,
    /// Deliver it again, until the declared number of attempts is used up.
    Retry {
        /// Not before this has passed, or the longest wait of the provider ([`Limits::retry_after`](crate::profile::Limits::retry_after)); without
        /// it, the trigger's backoff decides.
        after: Option<Duration>,
        /// Why, for logs and for the dead letter that it may become.
        reason: String,
    },
    /// It can never succeed: move it to the dead letters at once.
    Reject {
        /// Why, kept with the dead letter.
        reason: String,
    },
}

impl Outcome {
    /// `Retry` after the trigger's backoff.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// `Retry` not before `after` has passed.
    ///
    /// At most 6 hours. With an ordering key the longest wait differs by provider: 6 hours in memory, on a laptop and on
    /// AWS, 1 minute on Azure, 20 seconds on Google Cloud. A longer wait is cut to that, with a warning in the log.
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry { after: Some(after), reason: reason.into() }
    }

    /// `Reject`.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { reason: reason.into() }
    }

    /// For hosts whose platform knows success and failure only. Errors: `Internal` with the reason.
    pub fn into_result(self) -> crate::Result<()> {
        match self {
            Self::Ack => Ok(()),
            Self::Retry { reason, .. } | Self::Reject { reason } => Err(Error::internal(reason)),
        }
    }
}

/// What a handler may return.
///
/// `()`, [`Outcome`], and a `Result` of either whose error is any error. The reason of an `Err` is the
/// error with its sources.
///
/// | `Err` | outcome |
/// |---|---|
/// | an isobar [`Error`] of kind `InvalidInput`, `TooLarge` or `Unsupported` and of the [`Origin`] `App` or `Request` | [`Outcome::Reject`] |
/// | any other isobar error | [`Outcome::Retry`], after [`Error::retry_after`] where that is known |
/// | any other error | [`Outcome::Retry`] |
///
/// An error of another type counts as the first isobar error among its sources, as for a
/// [`Problem`](crate::Problem#sources). `Outcome::from(error)` follows the same rule.
///
/// ```
/// use isobar_abstraction::{Error, IntoOutcome, Outcome, Result};
///
/// fn handle(url: &str) -> Result<()> {
///     if url.starts_with("https://") { Ok(()) } else { Err(Error::invalid_input("not an https URL")) }
/// }
/// // The message becomes a dead letter at once, with the reason.
/// assert!(matches!(handle("ftp://x").into_outcome(), Outcome::Reject { .. }));
/// ```
pub trait IntoOutcome {
    /// The outcome that this value stands for.
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

/// By the rule for an `Err`: see [`IntoOutcome`].
impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        of_error(&error)
    }
}

fn of_error(error: &(dyn std::error::Error + 'static)) -> Outcome {
    let (ours, reason) = (Error::find(error), chain(error));
    match ours.is_some_and(is_final) {
        true => Outcome::Reject { reason },
        false => Outcome::Retry { after: ours.and_then(Error::retry_after), reason },
    }
}

/// Would another delivery of the same message end in the same error?
fn is_final(error: &Error) -> bool {
    use ErrorKind::{InvalidInput, TooLarge, Unsupported};
    matches!(error.origin(), Origin::App | Origin::Request)
        && matches!(error.kind(), InvalidInput | TooLarge | Unsupported)
}

/// An error and its sources in one line, as reasons and logs show it.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    with_sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// How often, and how far apart, a trigger tries.
///
/// The defaults are 5 attempts, 1 second doubling up to 5 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Deliveries in all, the first included. At least 1.
    pub max_attempts: u32,
    /// The wait before the second delivery, which is at least half of it; it doubles with each delivery.
    #[serde(rename = "min_backoff_ms", with = "crate::clock::duration_millis")]
    pub min_backoff: Duration,
    /// The longest wait of these. A handler that asks for another wait gets that.
    #[serde(rename = "max_backoff_ms", with = "crate::clock::duration_millis")]
    pub max_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, min_backoff: Duration::from_secs(1), max_backoff: Duration::from_secs(300) }
    }
}

/// What becomes of an event after its handler answered.
///
/// Exhaustive: a host that ignored a settlement would lose or repeat events, so a new one must not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Forget it.
    Done,
    /// Deliver it again after this long.
    Retry(Duration),
    /// Keep it as a dead letter with this reason.
    DeadLetter(String),
}

impl RetryPolicy {
    /// Deliveries in all, the first included; 0 counts as 1.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// The shortest and the longest backoff.
    #[must_use]
    pub fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.min_backoff, self.max_backoff) = (min, max.max(min));
        self
    }

    /// For hosts: what to do after delivery number `attempt` ended with `outcome`.
    ///
    /// The wait is exponential in the attempt, with equal jitter: between half of it and all of it,
    /// so that a retry is never immediate and a thousand of them never come at once.
    ///
    /// No wait is longer than `longest`, which is [`Limits::longest_retry`](crate::profile::Limits::longest_retry) of the provider.
    pub fn settle(&self, attempt: u32, outcome: Outcome, longest: Duration) -> Settlement {
        match outcome {
            Outcome::Ack => Settlement::Done,
            Outcome::Reject { reason } => Settlement::DeadLetter(reason),
            Outcome::Retry { reason, .. } if attempt >= self.max_attempts => {
                Settlement::DeadLetter(format!("gave up after {attempt} attempts: {reason}"))
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

fn capped(after: Duration, longest: Duration) -> Duration {
    if after > longest {
        let (asked, seconds) = (after.as_secs(), longest.as_secs());
        tracing::warn!(
            "a retry after {asked} s is more than the limit: the message is delivered again after {seconds} s"
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
    fn an_error_of_the_app_or_its_arguments_that_stays_is_a_reject() {
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
        let foreign = Err::<(), BoxError>("not ours".into()).into_outcome();
        assert_eq!(foreign, Outcome::retry("not ours"));
        assert_eq!(Outcome::from(Error::invalid_input("no")), Outcome::reject("no (invalid-input)"));
    }

    #[test]
    fn a_throttled_error_waits_as_long_as_it_was_told() {
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
