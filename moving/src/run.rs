//! One run of a move: what all its parts use.

use std::future::Future;

use futures_util::stream::{Stream, StreamExt, TryStreamExt};
use isobar_abstraction::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use crate::journal::Journal;
use crate::pace::{Pace, Rates};
use crate::report::{Place, Watch};
use crate::stop::{Ending, Stop};
use crate::upload;

/// How a move is made.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Deletes at the target what the source does not have, also what no earlier run wrote.
    pub delete_extra: bool,
    /// Leaves out what cannot be carried, and reports it. Otherwise it is an error.
    pub skip_unfit: bool,
    /// Limits of the requests to each side.
    pub rates: Rates,
    /// Stops the move.
    pub stop: Stop,
}

impl Options {
    /// Sets whether everything is deleted at the target that the source does not have.
    #[must_use]
    pub fn with_delete_extra(mut self, delete_extra: bool) -> Self {
        self.delete_extra = delete_extra;
        self
    }

    /// Sets whether what cannot be carried is left out.
    #[must_use]
    pub fn with_skip_unfit(mut self, skip_unfit: bool) -> Self {
        self.skip_unfit = skip_unfit;
        self
    }

    /// Sets the limits of the requests to each side.
    #[must_use]
    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// Sets the switch that stops the move.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }
}

/// What a comparison changes at the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Repair {
    /// What is missing or different is written.
    pub(crate) writes: bool,
    /// What only the target has is deleted.
    pub(crate) deletes: bool,
}

/// A run.
pub(crate) struct Run<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) options: &'a Options,
    pub(crate) watch: &'a dyn Watch,
    pub(crate) source: Pace,
    pub(crate) target: Pace,
    pub(crate) ending: Ending,
    /// The memory of contents, in units of [`upload::UNIT`].
    pub(crate) memory: Semaphore,
}

impl<'a> Run<'a> {
    pub(crate) fn new(journal: &'a Journal, options: &'a Options, watch: &'a dyn Watch) -> Self {
        let ending = Ending::new(options.stop.clone());
        let pace = || Pace::new(options.rates, ending.clone());
        let memory = Semaphore::new(upload::MEMORY);
        Self { journal, options, watch, source: pace(), target: pace(), ending, memory }
    }

    /// Errors: the one that has ended the run, also that of the wish to stop.
    pub(crate) fn check_stop(&self) -> Result<()> {
        self.ending.check()
    }

    /// Runs the futures of a stream, so many in parallel. After the first error none begins, and those in flight end: a write
    /// whose future is dropped could be applied later.
    pub(crate) async fn finish<F: Future<Output = Result<()>>>(
        &self,
        futures: impl Stream<Item = Result<F>>,
        parallel: usize,
    ) -> Result<()> {
        let futures = futures.take_until(self.ending.wait()).try_buffer_unordered(parallel);
        let mut futures = std::pin::pin!(futures);
        while let Some(done) = futures.next().await {
            if let Err(error) = done {
                self.ending.fail(error);
            }
        }
        self.check_stop()
    }

    /// Reports what cannot be carried. Errors: `InvalidInput`, unless it may be left out.
    pub(crate) fn unfit(&self, at: &Place, why: &str) -> Result<()> {
        self.watch.unfit(at, why);
        match self.options.skip_unfit {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::InvalidInput, format!("{at} cannot be carried: {why}"))),
        }
    }
}
