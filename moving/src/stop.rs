//! The wish of the user to stop.

use std::sync::Arc;

use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A switch that makes a move finish what is in flight, and end. Clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Stop {
    /// Stops the move.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Is it set?
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is set.
    pub(crate) async fn wait(&self) {
        // The sender is in this switch, so it is never closed.
        let _ = self.0.subscribe().wait_for(|is_set| *is_set).await;
    }
}

/// The end of a run: the wish to stop, or the first error. What is in flight then ends, and nothing else begins.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    user: Stop,
    failed: Stop,
    error: Arc<Mutex<Option<Error>>>,
}

impl Ending {
    pub(crate) fn new(user: Stop) -> Self {
        Self { user, failed: Stop::default(), error: Arc::default() }
    }

    /// Ends the run with an error, unless another one has ended it.
    pub(crate) fn fail(&self, error: Error) {
        self.error.lock().get_or_insert(error);
        self.failed.set();
    }

    /// Errors: the one that has ended the run; [`stopped`] after the wish to stop.
    pub(crate) fn check(&self) -> Result<()> {
        match self.error.lock().clone() {
            Some(error) => Err(error),
            None if self.user.is_set() => Err(stopped()),
            None => Ok(()),
        }
    }

    pub(crate) async fn wait(&self) {
        tokio::select! {
            () = self.user.wait() => {}
            () = self.failed.wait() => {}
        }
    }
}

const STOPPED: &str = "the move was stopped; the same command goes on";

/// The error of a move that was stopped.
pub(crate) fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, STOPPED)
}

/// Is it the error of a move that [`Stop`] ended?
pub fn is_stopped(error: &Error) -> bool {
    error.message() == STOPPED
}
