//! [`Step`]: an effect with its options.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use isobar_abstraction::driver::{RetryPolicy, Settlement};
use isobar_abstraction::{BoxError, Error, Outcome, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use crate::context::StepContext;
use crate::draft::{Draft, Work};
use crate::flow::{Active, Call, Flow};
use crate::replay::{CallState, Calls, Polled, Undo, UndoBody};
use crate::row::{CallKind, Failure, Record};
use crate::store::{encode, millis};

impl Flow {
    /// Runs an effect, and records its result. In each later replay the result is returned, and the effect does not run.
    ///
    /// A crash can happen after the effect and before the record: then the effect runs again, with the same
    /// [`StepContext::key`]. Pass that to a service that accepts idempotency keys.
    ///
    /// An `Err` is attempted again, 5 times in all, with a backoff of 1 second that doubles up to 5 minutes; the last `Err` is
    /// recorded and returned. An error that no attempt can change ends the step: an isobar error of the kind `InvalidInput`,
    /// `TooLarge` or `Unsupported` of the app. The error that the workflow receives has the kind and the message of an isobar
    /// error; another error is `Internal`. [`Step`] has the options.
    pub fn step<'a, T, E, F, R>(&self, name: &str, body: F) -> Step<'a, T>
    where
        T: Serialize + DeserializeOwned + Send + 'a,
        E: Into<BoxError> + 'a,
        F: FnMut(StepContext) -> R + Send + 'a,
        R: Future<Output = Result<T, E>> + Send + 'a,
    {
        Step::new(self.clone(), self.call_of(CallKind::Step, name), body)
    }

    /// Adds a compensation: what undoes an effect if the run fails or is cancelled later. Compensations run in the reverse
    /// order, each as a [step](Self::step) with the default options.
    ///
    /// Add it after the effect. A compensation that fails for good stalls the run: a person looks, and resumes it.
    pub fn undo<E, F, R>(&self, name: &str, mut body: F)
    where
        E: Into<BoxError> + 'static,
        F: FnMut(StepContext) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
    {
        let name = format!("undo/{}{name}", self.scope);
        let body = Box::new(move |context| body(context).map(|result| result.map_err(Into::into)).boxed());
        self.inner.calls.with(|state| state.undo.push((name, body)));
    }

    /// Runs the compensations. One that fails for good stalls the run.
    pub(crate) async fn compensate(self, undo: Vec<Undo>) -> Result<()> {
        for (name, body) in undo.into_iter().rev() {
            let call = self.call_of(CallKind::Step, &name);
            Step::of_undo(self.clone(), call, body).await?;
        }
        Ok(())
    }
}

/// An effect of a workflow, from [`Flow::step`]: set its options, and await it.
#[must_use = "a step does nothing until it is awaited"]
pub struct Step<'a, T> {
    flow: Flow,
    call: Call,
    body: Body<'a, T>,
    options: Options,
}

type Body<'a, T> = Box<dyn FnMut(StepContext) -> BoxFuture<'a, Result<T, BoxError>> + Send + 'a>;

#[derive(Debug, Clone, Copy, Default)]
struct Options {
    retry: RetryPolicy,
    timeout: Option<Duration>,
    at_most_once: bool,
    /// Does an error for good stall the run?
    stalls: bool,
}

impl<T> fmt::Debug for Step<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Step<'static, ()> {
    /// The step of a compensation.
    pub(crate) fn of_undo(flow: Flow, call: Call, body: UndoBody) -> Self {
        Self { flow, call, body, options: Options { stalls: true, ..Options::default() } }
    }
}

impl<'a, T> Step<'a, T> {
    pub(crate) fn new<E, F, R>(flow: Flow, call: Call, mut body: F) -> Self
    where
        E: Into<BoxError> + 'a,
        F: FnMut(StepContext) -> R + Send + 'a,
        R: Future<Output = Result<T, E>> + Send + 'a,
    {
        let options = Options::default();
        let body = Box::new(move |context| body(context).map(|result| result.map_err(Into::into)).boxed());
        Self { flow, call, body, options }
    }

    /// Sets the number of attempts, including the first: 5 by default; 0 counts as 1.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.options.retry = self.options.retry.with_max_attempts(attempts);
        self
    }

    /// Sets the wait before the second attempt and the longest wait: 1 second and 5 minutes by default. It doubles with each
    /// attempt; the actual wait is random, at least half of it. An error with its own time to wait, such as one of a response
    /// with `Retry-After`, waits at least that.
    pub fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.options.retry = self.options.retry.with_backoff(min, max);
        self
    }

    /// Limits the time of each attempt. Without it, and at most, it is the time that the host leaves: see
    /// [`Context::remaining`](isobar_abstraction::Context::remaining). An attempt over the limit is a `Timeout`.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Runs the effect once at most: for a service without idempotency keys. There is one attempt. If a crash happens
    /// between the beginning of the effect and the record of its result, the step is an error of the kind `Conflict`, and the
    /// workflow or a person must find out whether the effect happened.
    pub fn at_most_once(mut self) -> Self {
        self.options.at_most_once = true;
        self.with_attempts(1)
    }
}

impl<'a, T: Serialize + DeserializeOwned + Send + 'a> IntoFuture for Step<'a, T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'a, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<'a, T: Serialize + DeserializeOwned + Send + 'a> Step<'a, T> {
    async fn run(mut self) -> Result<T> {
        let record = match self.call.polled().await {
            Polled::Recorded(record) => record,
            Polled::Live => match self.attempts().await {
                Ok(record) => record,
                Err(error) => self.call.fail(error).await,
            },
        };
        match record {
            Record::Value(stored) => {
                let path = self.path();
                self.flow.value(&self.call, &stored, &format!("the result of step `{path}`")).await
            }
            Record::Error(failure) => Err(failure.error()),
            _ => self.call.fail(Error::internal("bug in isobar: a step has the record of another call")).await,
        }
    }

    fn path(&self) -> String {
        self.call.calls.with(|state| state.kind_and_path(self.call.index)).map(|(_, path)| path).unwrap_or_default()
    }

    /// Runs attempts until one has a result, and records it. Errors: of storing a large result.
    async fn attempts(&mut self) -> Result<Record> {
        let (calls, index) = (Arc::clone(&self.call.calls), self.call.index);
        if self.options.at_most_once {
            if calls.with(|state| state.has_begun(index)) {
                let message = "the step was interrupted, and it is not known whether its effect happened";
                return Ok(self.record(1, self.now(), Record::Error(Failure::of(&Error::conflict(message)))).await);
            }
            calls.draft(Draft::new(index, self.now(), Work::Begin(Record::Begun)));
            self.call.polled().await;
        }
        loop {
            let failed = calls.with(|state| state.attempts(index).map(|it| (it.count, it.next)));
            let attempt = failed.map_or(1, |(count, _)| count + 1);
            if let Some((_, next)) = failed
                && next > self.now()
            {
                calls.set(index, CallState::Retry { at: next });
                self.call.polled().await;
            }
            let began = self.now();
            let result = self.attempt(attempt).await;
            let error = match result {
                Ok(record) => return Ok(self.record(attempt, began, record).await),
                Err(AttemptError::Turn(error)) => return Err(error),
                Err(AttemptError::Step(error)) => error,
            };
            let found = find(error.as_ref());
            let failure = Failure::of(&self::found(error.as_ref()));
            let after = match found.map(|error| Outcome::from(error.clone())) {
                Some(Outcome::Reject { .. }) => None,
                Some(Outcome::Retry { after, .. }) => Some(after.unwrap_or_default()),
                _ => Some(Duration::ZERO),
            };
            match after.filter(|_| attempt < self.options.retry.max_attempts) {
                // Not recorded, so that it runs again after a person has repaired the cause.
                None if self.options.stalls => {
                    let path = self.path();
                    self.call.stall(format!("the compensation `{path}` failed: {}", failure.message)).await;
                }
                None => return Ok(self.record(attempt, began, Record::Error(failure)).await),
                Some(after) => {
                    let wait = self.backoff(attempt).max(after);
                    let next = self.now().saturating_add(millis(wait));
                    tracing::info!(run = %self.flow.id(), step = self.path(), attempt, "a step failed: {}", failure.message);
                    calls.draft(Draft { index, began, attempts: attempt, work: Work::Failed { failure, next } });
                    self.call.polled().await;
                }
            }
        }
    }

    fn now(&self) -> u64 {
        self.flow.inner.store.now()
    }

    async fn record(&mut self, attempts: u32, began: u64, record: Record) -> Record {
        let work = Work::Record(record);
        self.call.calls.draft(Draft { index: self.call.index, began, attempts, work });
        self.call.recorded().await
    }

    /// The wait after an attempt that is not the last.
    fn backoff(&self, attempt: u32) -> Duration {
        match self.options.retry.settle(attempt, Outcome::retry(""), self.options.retry.max_backoff) {
            Settlement::Retry(wait) => wait,
            Settlement::Done | Settlement::DeadLetter(_) => Duration::ZERO,
        }
    }

    async fn attempt(&mut self, attempt: u32) -> Result<Record, AttemptError> {
        let inner = Arc::clone(&self.flow.inner);
        let now = self.now();
        let left = inner.deadline.map(|deadline| Duration::from_millis(deadline.saturating_sub(now)));
        let remaining = self.options.timeout.into_iter().chain(left).min();
        let context = StepContext { key: self.flow.key(&self.path()), attempt, remaining };
        let _active = Active::new(&self.call.calls);
        let span = tracing::info_span!("step", path = self.path(), attempt);
        let body = AssertUnwindSafe(self.in_body(context).instrument(span)).catch_unwind();
        let result = match remaining {
            None => body.await,
            Some(remaining) => match select(pin!(body), inner.store.clock.sleep(remaining)).await {
                Either::Left((result, _)) => result,
                Either::Right(_) => {
                    let message = format!("the attempt did not end within {remaining:?}");
                    return Err(AttemptError::Step(Error::timeout(message).with_outcome_unknown().into()));
                }
            },
        };
        let value = match result {
            Ok(value) => value.map_err(AttemptError::Step)?,
            Err(panic) => return Err(AttemptError::Step(panicked(panic.as_ref()).into())),
        };
        let json = encode(&value).map_err(|error| AttemptError::Step(error.into()))?;
        match inner.store.save(&inner.run, json).await {
            Ok(stored) => Ok(Record::Value(stored)),
            Err(error) if error.limit().is_some() => Err(AttemptError::Step(error.into())),
            Err(error) => Err(AttemptError::Turn(error)),
        }
    }

    /// The body, with a mark while it runs: it must not call the workflow.
    async fn in_body(&mut self, context: StepContext) -> Result<T, BoxError> {
        let calls = &self.call.calls;
        let mut body = {
            let _mark = Mark::new(calls);
            (self.body)(context)
        };
        poll_fn(|cx| {
            let _mark = Mark::new(calls);
            body.poll_unpin(cx)
        })
        .await
    }
}

/// Marks the body of a step while it runs, also if it panics.
struct Mark<'a>(&'a Calls);

impl<'a> Mark<'a> {
    fn new(calls: &'a Calls) -> Self {
        calls.with(|state| state.set_in_body(true));
        Self(calls)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.set_in_body(false));
    }
}

enum AttemptError {
    /// The attempt failed.
    Step(BoxError),
    /// Its result cannot be stored now.
    Turn(Error),
}

/// The first isobar error among the sources.
fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// The first isobar error among the sources, or an `Internal` one with the texts of all.
pub(crate) fn found(error: &(dyn std::error::Error + 'static)) -> Error {
    find(error).cloned().unwrap_or_else(|| Error::internal(chain(error)))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("the step panicked: {}", text.unwrap_or("without a text")))
}
