//! [`Flow`]: what a workflow calls.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use isobar_abstraction::clock::from_millis;
use isobar_abstraction::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::draft::{Draft, Work};
use crate::replay::{CallState, Calls, Polled};
use crate::row::{CallKind, Record, RunId, Stored};
use crate::store::{Store, decode, encode, millis};

/// The first argument of a workflow: its steps, sleeps and waits.
///
/// A workflow runs from its beginning after each wait and each crash. What its calls returned is recorded, and is returned
/// again without another effect. So everything outside of a step must do the same each time: no clock, no random number, no
/// request, no `spawn` and no `select!`, and no order of a `HashMap`. A clone is of the same run.
///
/// Branches can run in parallel with `join!`; each call has a name, and calls with equal names are numbered in the order in
/// which they are made.
#[derive(Clone)]
pub struct Flow {
    pub(crate) inner: Arc<Inner>,
    pub(crate) scope: Arc<str>,
}

pub(crate) struct Inner {
    pub(crate) run: RunId,
    pub(crate) incarnation: String,
    pub(crate) calls: Arc<Calls>,
    pub(crate) store: Store,
    /// When the bodies of steps must have ended.
    pub(crate) deadline: Option<u64>,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("run", &self.inner.run).finish_non_exhaustive()
    }
}

/// A call of the workflow; a call that is dropped is closed.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) calls: Arc<Calls>,
    pub(crate) index: u32,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.close(self.index);
    }
}

impl Call {
    /// Waits for the record of the call, or for its time to run.
    pub(crate) async fn polled(&self) -> Polled {
        poll_fn(|cx| self.calls.poll(self.index, cx.waker())).await
    }

    /// Waits for the record of the call.
    pub(crate) async fn recorded(&self) -> Record {
        poll_fn(|cx| match self.calls.poll(self.index, cx.waker()) {
            Poll::Ready(Polled::Recorded(record)) => Poll::Ready(record),
            Poll::Ready(Polled::Live) | Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Stalls the run, because it needs a person.
    pub(crate) async fn stall(&self, reason: String) {
        self.calls.with(|state| state.stop_for(&reason));
        std::future::pending::<()>().await;
    }

    /// Ends the turn, because it cannot go on now: the workflow sees nothing of it.
    pub(crate) async fn fail<T>(&self, error: Error) -> T {
        self.calls.with(|state| {
            state.failure.get_or_insert(error);
        });
        std::future::pending().await
    }
}

impl Flow {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), scope: "".into() }
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.inner.run
    }

    /// The time of the run: when the latest result that the workflow has seen was recorded, or the latest sleep ended. It is
    /// the same in each replay.
    pub fn now(&self) -> SystemTime {
        from_millis(self.inner.calls.with(|state| state.now))
    }

    /// A random number, the same in each replay. It is no secret: the id of the run and a stored text determine it.
    pub fn random(&self) -> u64 {
        let name = self.inner.calls.scope(&self.scope, "random");
        u64::from_str_radix(self.key(&name).get(..16).unwrap_or_default(), 16).unwrap_or_default()
    }

    /// A unique text of 32 hexadecimal digits, the same in each replay: for example an id that several steps need.
    pub fn unique_id(&self) -> String {
        let name = self.inner.calls.scope(&self.scope, "id");
        self.key(&name)
    }

    pub(crate) fn call_of(&self, kind: CallKind, name: &str) -> Call {
        let calls = Arc::clone(&self.inner.calls);
        let index = calls.call(&self.scope, kind, name);
        Call { calls, index }
    }

    /// Waits for `duration` after [`now`](Self::now). No process runs in the meantime, unless the wait is at most 20 seconds.
    ///
    /// A wait of up to 15 minutes ends by a delayed message, a longer one by the schedule of runs: up to two minutes late, and
    /// later if the platform's scheduler is late.
    pub fn sleep(&self, name: &str, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let call = self.call_of(CallKind::Sleep, name);
        let index = call.index;
        let (until, is_recorded) = call.calls.with(|state| match state.recorded_until(index) {
            Some(until) => (until, true),
            None => (state.now.saturating_add(millis(duration)), false),
        });
        if !is_recorded {
            let work = Work::Note(Record::Until(until));
            let began = self.inner.calls.with(|state| state.now);
            call.calls.draft(Draft::new(index, began, work));
        }
        call.calls.set(index, CallState::Sleeping { until });
        async move {
            call.recorded().await;
        }
    }

    /// Waits for an event that [`Runs::signal`](crate::Runs::signal) sends, without a limit of time unless
    /// [`with_timeout`](Wait::with_timeout) sets one.
    ///
    /// An event is stored whether or not the workflow waits for it. Each `wait_for` receives the oldest one of its name that
    /// no other has received.
    pub fn wait_for<T: DeserializeOwned + Send>(&self, event: &str) -> Wait<T> {
        let call = self.call_of(CallKind::Wait, event);
        call.calls.set(call.index, CallState::Event { name: event.to_owned(), deadline: None });
        Wait { flow: self.clone(), call, event: event.to_owned(), body: PhantomData }
    }

    /// Ends this generation of the run, and begins the workflow again with another input and an empty journal: for workflows
    /// without an end, such as one that handles an event after the other. Return its result:
    /// `return flow.continue_with(&next)`.
    ///
    /// Events that no wait has received remain. Compensations of this generation are forgotten.
    pub fn continue_with<O>(&self, input: &(impl Serialize + ?Sized)) -> Result<O> {
        let input = encode(&input)?;
        self.inner.calls.with(|state| state.next_input = Some(input));
        Err(Error::internal("the run continues with another input; return this error from the workflow"))
    }

    /// A scope for branches: its name is counted, and is the beginning of the names of their calls.
    pub(crate) fn scoped(&self, name: &str) -> Self {
        let scope = self.inner.calls.scope(&self.scope, name);
        Self { inner: Arc::clone(&self.inner), scope: scope.into() }
    }

    pub(crate) fn of_item(&self, number: usize) -> Self {
        Self { inner: Arc::clone(&self.inner), scope: format!("{}/{number}/", self.scope).into() }
    }

    /// The idempotency key of a call: the same in each attempt and each worker.
    pub(crate) fn key(&self, path: &str) -> String {
        let Inner { run, incarnation, .. } = &*self.inner;
        let mut hash = Sha256::new();
        for part in [run.workflow(), run.id(), incarnation, path] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A stored value. A value that cannot be read now ends the turn.
    pub(crate) async fn value<T: DeserializeOwned>(&self, call: &Call, stored: &Stored, what: &str) -> Result<T> {
        let active = Active::new(&call.calls);
        match self.inner.store.load(stored).await {
            Ok(json) => {
                drop(active);
                decode(&json, what)
            }
            Err(error) => call.fail(error).await,
        }
    }
}

/// A call that does work: the turn does not end before it.
#[derive(Debug)]
pub(crate) struct Active(Arc<Calls>);

impl Active {
    pub(crate) fn new(calls: &Arc<Calls>) -> Self {
        calls.with(|state| state.active += 1);
        Self(Arc::clone(calls))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.with(|state| state.active = state.active.saturating_sub(1));
    }
}

/// A wait for an event, from [`Flow::wait_for`]: await it.
#[must_use = "a wait does nothing until it is awaited"]
pub struct Wait<T> {
    flow: Flow,
    call: Call,
    event: String,
    body: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("event", &self.event).finish_non_exhaustive()
    }
}

impl<T> Wait<T> {
    /// Limits the wait: after `timeout` it is an error of the kind `Timeout`. The event remains for a later wait, if it
    /// arrives after that.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.call.calls.with(|state| {
            let deadline = Some(state.now.saturating_add(millis(timeout)));
            state.set_deadline(self.call.index, deadline);
        });
        self
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for Wait<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { flow, call, event, .. } = self;
            match call.recorded().await {
                Record::Value(body) => flow.value(&call, &body, &format!("the event `{event}`")).await,
                _ => Err(Error::timeout(format!("the event `{event}` has not arrived"))),
            }
        })
    }
}
