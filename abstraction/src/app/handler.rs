//! Handlers without their types, and the guard that ends a panic within its invocation.
//!
//! A platform reuses a process for many invocations. A panic that left the handler would end them all.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::future::ready;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::BoxFuture;

use crate::ambient::{Ambient, in_handler, in_invocation};
use crate::{Context, Error, Event, Reply, Result};

/// A handler of events of one kind.
pub(super) type Handler = dyn Fn(Event, Context) -> BoxFuture<'static, Result<Reply>> + Send + Sync;

/// A handler without its types: `take` returns the part of an event that `handler` needs. For an event of another kind,
/// which only a layer can pass on, the result is an error.
pub(super) fn erased<E: 'static, H, F>(take: fn(Event) -> Option<E>, handler: H) -> Arc<Handler>
where
    H: Fn(E, Context) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply>> + Send + 'static,
{
    Arc::new(move |event, cx| match take(event) {
        Some(event) => Box::pin(handler(event, cx)),
        None => Box::pin(ready(Err(wrong_event()))),
    })
}

fn wrong_event() -> Error {
    Error::internal("a layer passed on an event of another kind; it must pass on the kind that it received")
}

/// Calls a handler within its invocation. A panic of the call or of any poll becomes an `Err` with its text.
pub(super) fn guarded(ambient: Ambient, call: impl FnOnce() -> BoxFuture<'static, Result<Reply>>) -> Guarded {
    Guarded { ambient, state: caught(ambient, call) }
}

/// Runs one poll of the app's code within its invocation. A panic becomes an `Err` with its text.
pub(crate) fn caught<T>(ambient: Ambient, poll: impl FnOnce() -> T) -> Result<T, String> {
    // A panic that the app itself caught may have left its place here.
    PANICKED_AT.set(None);
    let polled = catch_unwind(AssertUnwindSafe(|| in_invocation(ambient, poll)));
    let polled = polled.map_err(|panic| panic_text(panic.as_ref()));
    PANICKED_AT.set(None);
    polled
}

/// The future that [`guarded`] returns.
pub(super) struct Guarded {
    ambient: Ambient,
    state: Result<BoxFuture<'static, Result<Reply>>, String>,
}

impl Future for Guarded {
    type Output = Result<Result<Reply>, String>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let call = match &mut this.state {
            Ok(call) => call,
            Err(text) => return Poll::Ready(Err(std::mem::take(text))),
        };
        // A future is not polled again after a panic, so its broken state has no effect.
        match caught(this.ambient, || call.as_mut().poll(task)) {
            Ok(poll) => poll.map(Ok),
            Err(text) => Poll::Ready(Err(text)),
        }
    }
}

thread_local! {
    // The place of the last panic of a handler on this thread, which the payload of a panic does not contain.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// For the panic hook of a `main`: stores the place of a handler's panic and returns `true`. The hook need not print such a
/// panic, because it is caught and logged with its invocation. Returns `false` for every other panic.
///
/// A library must not install a hook. Without one, the process prints each panic of a handler in addition to the log
/// line, and the log line does not contain the place.
pub fn note_panic(panic: &PanicHookInfo<'_>) -> bool {
    if !in_handler() {
        return false;
    }
    PANICKED_AT.set(panic.location().map(ToString::to_string));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(%backtrace, "a handler panics");
    }
    true
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    match PANICKED_AT.take() {
        Some(place) => format!("the handler panicked: {text} (at {place})"),
        None => format!("the handler panicked: {text}"),
    }
}
