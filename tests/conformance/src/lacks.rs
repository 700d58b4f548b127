//! The parts that a harness may lack, and the error by which a trial ends that needs one of them.

use std::error::Error as StdError;
use std::fmt;

use isobar::Error;

/// A part that a harness lacks. A trial that ends with it is ignored, with this as the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lacks {
    /// [`World::clock`](crate::World::clock).
    Clock,
    /// [`World::start`](crate::World::start).
    Host,
    /// [`World::set_secret`](crate::World::set_secret).
    Secrets,
    /// [`World::backlog`](crate::World::backlog).
    Backlog,
    /// [`World::fetch`](crate::World::fetch).
    Fetch,
    /// [`World::reopen`](crate::World::reopen).
    Reopen,
    /// [`RunningApp::http`](crate::RunningApp::http).
    Http,
    /// [`RunningApp::invoke`](crate::RunningApp::invoke).
    Invoke,
    /// [`RunningApp::tick`](crate::RunningApp::tick).
    Tick,
    /// [`RunningApp::deliver`](crate::RunningApp::deliver).
    Deliver,
    /// [`RunningApp::dead_letters`](crate::RunningApp::dead_letters).
    DeadLetters,
    /// [`RunningApp::redrive`](crate::RunningApp::redrive).
    Redrive,
}

impl Lacks {
    /// The part of which a trial's error is, if it is of one. An error of isobar never is.
    pub(crate) fn of(error: &(dyn StdError + Send + Sync + 'static)) -> Option<Self> {
        match error.downcast_ref::<HarnessError>() {
            Some(HarnessError::Lacks(part)) => Some(*part),
            Some(HarnessError::Failed(_)) => None,
            None => error.downcast_ref::<Self>().copied(),
        }
    }
}

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "the harness lacks a clock that trials can move",
            Self::Host => "the harness lacks a host for apps",
            Self::Secrets => "the harness lacks a store of secrets that trials can change",
            Self::Backlog => "the harness lacks the backlogs of queues",
            Self::Fetch => "the harness lacks a client for signed URLs",
            Self::Reopen => "the harness lacks a way to end its process and open the data again",
            Self::Http => "the harness's host lacks HTTP",
            Self::Invoke => "the harness's host lacks direct calls",
            Self::Tick => "the harness's host lacks schedules",
            Self::Deliver => "the harness's host lacks the delivery of messages, object events and writes",
            Self::DeadLetters => "the harness's host lacks a list of dead letters",
            Self::Redrive => "the harness's host lacks the redrive of dead letters",
        })
    }
}

impl StdError for Lacks {}

/// Why a part of a harness returned nothing: it is not there, or it failed.
pub enum HarnessError {
    /// The harness lacks the part: the trial is ignored.
    Lacks(Lacks),
    /// What was called failed: the trial fails, unless it expects the error.
    Failed(Error),
}

/// The result of a part that a harness may lack.
pub type HarnessResult<T> = Result<T, HarnessError>;

impl From<Error> for HarnessError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<serde_json::Error> for HarnessError {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Lacks> for HarnessError {
    fn from(part: Lacks) -> Self {
        Self::Lacks(part)
    }
}

impl fmt::Display for HarnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(part) => fmt::Display::fmt(part, f),
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl fmt::Debug for HarnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(part) => fmt::Debug::fmt(part, f),
            Self::Failed(error) => fmt::Debug::fmt(error, f),
        }
    }
}

impl StdError for HarnessError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Lacks(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

/// Separates what a harness lacks from the result of what was called.
pub trait Provided<T> {
    /// The result of the call, for a trial that expects an error: `app.tick("sweep").await.provided()?.unwrap_err()`.
    ///
    /// Errors: the part that the harness lacks.
    fn provided(self) -> Result<isobar::Result<T>, Lacks>;
}

impl<T> Provided<T> for HarnessResult<T> {
    fn provided(self) -> Result<isobar::Result<T>, Lacks> {
        match self {
            Ok(value) => Ok(Ok(value)),
            Err(HarnessError::Failed(error)) => Ok(Err(error)),
            Err(HarnessError::Lacks(part)) => Err(part),
        }
    }
}
