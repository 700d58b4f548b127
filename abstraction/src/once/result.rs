//! [`OnceResult`]: the result of work that runs once.

use std::time::Duration;

use crate::outcome::{IntoOutcome, Outcome};
use crate::{Error, Origin, Result};

/// The result of [`Once::run`](super::Once::run).
///
/// As the result of a handler of messages, `InProgress` is a [`Retry`](Outcome::Retry) after its time, and not an `Ack`: the
/// running try may still fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "`InProgress` means that the work has not ended"]
pub enum OnceResult<T> {
    /// The work ran for this caller.
    Fresh(T),
    /// The work ran for an earlier caller, or for one at the same time that was faster.
    Replayed(T),
    /// The work is running for another caller.
    InProgress {
        /// The longest time until that try has ended or counts as interrupted, at most the length of its lease.
        retry_after: Duration,
    },
}

impl<T> OnceResult<T> {
    /// The result of the work, whichever caller ran it.
    ///
    /// Errors: `Conflict` with [`Error::retry_after`] while it is running: over HTTP 409 with `retry-after`, for a message
    /// another delivery after this time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use isobar_abstraction::once::OnceResult;
    /// assert_eq!(OnceResult::Replayed(7).into_value()?, 7);
    /// let retry_after = Duration::from_secs(9);
    /// let running = OnceResult::<u32>::InProgress { retry_after }.into_value().unwrap_err();
    /// assert_eq!(running.retry_after(), Some(retry_after));
    /// # Ok::<(), isobar_abstraction::Error>(())
    /// ```
    pub fn into_value(self) -> Result<T> {
        match self {
            Self::Fresh(value) | Self::Replayed(value) => Ok(value),
            Self::InProgress { retry_after } => Err(in_progress(retry_after)),
        }
    }
}

/// The error of a caller that must wait for another one.
pub(super) fn in_progress(retry_after: Duration) -> Error {
    let message = "another try of this work is in progress; try again later for its result";
    Error::conflict(message).with_origin(Origin::Data).with_retry_after(retry_after)
}

/// `InProgress` is [`Retry`](Outcome::Retry) after its time.
impl<T: IntoOutcome> IntoOutcome for OnceResult<T> {
    fn into_outcome(self) -> Outcome {
        self.into_value().into_outcome()
    }
}
