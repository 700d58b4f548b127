//! For adapters: the invocation that the running code is part of.
//!
//! A call to a service must end before the deadline of its invocation, and carry its trace. The methods of
//! [`object_store`] have no argument for either, and neither have those of the portable types. So both are stored for
//! the thread while it polls the handler of an invocation, and removed after each poll. A new task starts without them:
//! [`in_current_invocation`] passes them on.

use std::cell::Cell;
use std::pin::pin;
use std::time::SystemTime;

use futures_util::future::poll_fn;
use tracing::Instrument;

use crate::{Context, TraceParent};

/// The values of an invocation that calls to services use without a [`Context`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ambient {
    trace: TraceParent,
    deadline: Option<SystemTime>,
    /// Is this the handler itself? Its panics are caught and logged; those of a task that it started are not.
    is_handler: bool,
}

impl Ambient {
    pub(crate) fn of(cx: &Context) -> Self {
        Self { trace: cx.trace_parent(), deadline: cx.deadline(), is_handler: true }
    }
}

thread_local! {
    // It is set and restored around every poll.
    static CURRENT: Cell<Option<Ambient>> = const { Cell::new(None) };
}

/// The trace of the invocation that this thread polls; `None` outside of an invocation.
pub(crate) fn current_trace() -> Option<TraceParent> {
    CURRENT.get().map(|ambient| ambient.trace)
}

/// Is a handler being polled on this thread?
pub(crate) fn in_handler() -> bool {
    CURRENT.get().is_some_and(|ambient| ambient.is_handler)
}

/// The deadline of the invocation that this thread polls; `None` outside of an invocation, and for one without a deadline.
///
/// An adapter must end each call to its service before it: the answer to a later call is lost.
pub fn current_deadline() -> Option<SystemTime> {
    CURRENT.get().and_then(|ambient| ambient.deadline)
}

/// Runs one poll with `ambient` as the current invocation, and restores the one before.
pub(crate) fn in_invocation<T>(ambient: Ambient, poll: impl FnOnce() -> T) -> T {
    struct Restore(Option<Ambient>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(Some(ambient)));
    poll()
}

/// Makes a future part of the current invocation, also where another task or thread polls it: its calls have the deadline
/// and the trace of the invocation, and its log lines the span. Outside of an invocation the future does not change.
pub fn in_current_invocation<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let ambient = CURRENT.get().map(|ambient| Ambient { is_handler: false, ..ambient });
    let future = future.in_current_span();
    async move {
        let mut future = pin!(future);
        poll_fn(|task| match ambient {
            Some(ambient) => in_invocation(ambient, || future.as_mut().poll(task)),
            None => future.as_mut().poll(task),
        })
        .await
    }
}
