//! Handlers without their types, and what keeps a panic inside its own invocation.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_util::future::BoxFuture;

use crate::Context;
use crate::driver::{Ambient, in_handler, in_invocation};

/// A handler of events `E` that answers `R`.
pub(super) type Handler<E, R> = dyn Fn(E, Context) -> BoxFuture<'static, R> + Send + Sync;

pub(super) fn boxed<E: 'static, R, H, F>(handler: H) -> Box<Handler<E, R>>
where
    H: Fn(E, Context) -> F + Send + Sync + 'static,
    F: Future<Output = R> + Send + 'static,
{
    Box::new(move |event, cx| Box::pin(handler(event, cx)))
}

/// Calls a handler, in its invocation; a panic of the call or of any poll is an `Err` with its text.
pub(super) fn guarded<R>(ambient: Ambient, call: impl FnOnce() -> BoxFuture<'static, R>) -> Guarded<R> {
    Guarded { ambient, state: caught(ambient, call) }
}

/// Runs one poll of the app's code, in its invocation; a panic is an `Err` with its text.
pub(crate) fn caught<T>(ambient: Ambient, poll: impl FnOnce() -> T) -> Result<T, String> {
    // A panic that the app caught by itself was at another place, whether before this poll or in it.
    PANICKED_AT.set(None);
    let polled = catch_unwind(AssertUnwindSafe(|| in_invocation(ambient, poll)));
    let polled = polled.map_err(|panic| panic_text(panic.as_ref()));
    PANICKED_AT.set(None);
    polled
}

/// The future that [`guarded`] returns.
pub(super) struct Guarded<R> {
    ambient: Ambient,
    state: Result<BoxFuture<'static, R>, String>,
}

impl<R> Future for Guarded<R> {
    type Output = Result<R, String>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let call = match &mut this.state {
            Ok(call) => call,
            Err(text) => return Poll::Ready(Err(std::mem::take(text))),
        };
        // The future is never polled again after a panic, so its broken state is not seen.
        match caught(this.ambient, || call.as_mut().poll(task)) {
            Ok(poll) => poll.map(Ok),
            Err(text) => Poll::Ready(Err(text)),
        }
    }
}

thread_local! {
    // Where the last panic of a handler on this thread began. The payload of a panic does not say it.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// For a panic hook of a `main`: takes the panic of a handler, which is caught and logged with its
/// invocation, so that the hook need not print it. `false` for every other panic.
///
/// A library must not install a hook. Without one, the process prints each panic of a handler beside the
/// log line, which does not say the place then.
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
