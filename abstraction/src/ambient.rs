//! For adapters: the invocation that the code which runs right now is part of.
//!
//! The methods of [`object_store`] carry neither a deadline nor a trace. So both are not passed on but belong to the
//! thread, for as long as it polls the handler of an invocation.

use std::cell::Cell;
use std::pin::pin;
use std::time::SystemTime;

use futures_util::future::poll_fn;
use tracing::Instrument;

use crate::{Context, TraceParent};

/// What a handler's own calls take from the invocation that they are part of, without asking for a
/// [`Context`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ambient {
    trace: TraceParent,
    deadline: Option<SystemTime>,
    /// A panic of a handler is caught and logged, that of a task that it started is not.
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

/// The trace of the invocation that is being polled on this thread, if one is.
pub(crate) fn current_trace() -> Option<TraceParent> {
    CURRENT.get().map(|ambient| ambient.trace)
}

/// Is a handler being polled on this thread?
pub(crate) fn in_handler() -> bool {
    CURRENT.get().is_some_and(|ambient| ambient.is_handler)
}

/// The deadline of the invocation that is being polled on this thread, if one is and it has a deadline. A call to a
/// service that would take longer is in vain.
pub fn current_deadline() -> Option<SystemTime> {
    CURRENT.get().and_then(|ambient| ambient.deadline)
}

/// Runs one poll with its invocation as the current one.
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

/// The future as a part of the invocation that is current now, whoever polls it later: its calls have the same
/// deadline and trace, and its log lines the same span. Without an invocation it is as it was.
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
