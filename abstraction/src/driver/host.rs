//! The part that all hosts share: calling a [`Function`] with an event, in a span and until the deadline, and reading the
//! reply.
//!
//! A host parses the platform's form of an event, calls a function of this module, and returns the result in the
//! platform's form. It must not call [`Function::call`] itself: then a deadline, a span or a log line would be missing on
//! one platform.
//!
//! | event | function |
//! |---|---|
//! | an HTTP request | [`answer`], or [`answer_whole`] where the platform does not accept a stream |
//! | a message, an object event, a write | [`deliver`]; [`deliver_changes`] for changes with the names of a storage service |
//! | a part of a table's feed | [`write_messages`], whose messages go to a queue first |
//! | a tick | [`handle`], and [`Outcome::into_result`] where the platform distinguishes only success and failure |
//! | a direct call | [`invoke`] |

mod fields;
mod http;
mod object;
mod streamed;
#[cfg(test)]
mod tests;
mod writes;

use bytes::Bytes;
use futures_util::future::{Either, FutureExt, select};
use tracing::{Instrument, Span};

pub use crate::app::note_panic;
use crate::function::Function;
pub use crate::json::escaped_size;
use crate::outcome::chain;
use crate::pub_sub::DEFAULT_SUBSCRIPTION;
use crate::{Context, Error, ErrorKind, Event, Invocation, Outcome, Reply, Result};
pub use fields::{Fields, text};
pub use http::{REQUEST_ID, answer, answer_whole, refuse};
pub use object::{StoredChange, deliver_changes};
pub use writes::write_messages;

/// Delivers a message, an object event or a write. There is always an outcome: an `Err` of the function is a retry, and so is a
/// handler that has not ended at the deadline of `cx`.
///
/// The attempt and the trace of a message replace those of `cx`. A retry and a rejection are logged as warnings, an `Err`
/// as an error. The host must [settle](crate::outcome::RetryPolicy::settle) the event with the outcome.
pub async fn deliver(function: &dyn Function, event: Event, cx: Context) -> Outcome {
    let failed = |error: Error| {
        tracing::error!(error = chain(&error), "the event cannot be handled");
        Outcome::retry(error.to_string())
    };
    let (span, handled) = handled(function, event, cx);
    handled.map(|handled| handled.unwrap_or_else(failed)).instrument(span).await
}

/// [`deliver`] for schedules, whose hosts report a failed call and a failed handler differently.
///
/// Errors: those of the call itself, such as `NotFound` without a handler. They are not logged yet; the host must do that.
pub async fn handle(function: &dyn Function, event: Event, cx: Context) -> Result<Outcome> {
    let (span, handled) = handled(function, event, cx);
    handled.instrument(span).await
}

/// The span of an event, and the future to run in it.
fn handled(function: &dyn Function, event: Event, cx: Context) -> (Span, impl Future<Output = Result<Outcome>>) {
    let cx = match &event {
        Event::Message { message, .. } => {
            let trace = message.trace_parent.unwrap_or_else(|| cx.trace_parent());
            cx.with_attempt(message.attempt).with_trace_parent(trace)
        }
        _ => cx,
    };
    let span = span(&event, &cx);
    let handled = async move {
        let outcome = match within(&cx, function.call(event, cx.clone()).map(Ok)).await {
            Ok(Ok(Reply::Handled(outcome))) => outcome,
            Ok(Ok(_)) => return Err(wrong_reply()),
            Ok(Err(error)) => return Err(error),
            Err(late) => Outcome::retry(late.message()),
        };
        match &outcome {
            Outcome::Ack => {}
            Outcome::Retry { reason, .. } => tracing::warn!(reason, "the attempt failed"),
            Outcome::Reject { reason } => tracing::warn!(reason, "the handler rejected the event"),
        }
        Ok(outcome)
    };
    (span, handled)
}

/// Calls a function directly and returns its answer as JSON; `null` for an empty one.
///
/// Errors: those of the call; `Timeout` at the deadline of `cx`, which is logged.
pub async fn invoke(function: &dyn Function, invocation: Invocation, cx: Context) -> Result<Bytes> {
    let name = invocation.function.clone();
    let event = Event::Invoke(invocation);
    let span = span(&event, &cx);
    let call = async {
        let late = |late: Error| {
            tracing::error!(error = late.message(), "the direct call ended at its deadline");
            late.with_operation("invoke").with_resource(format!("function `{name}`"))
        };
        match within(&cx, function.call(event, cx.clone()).map(Ok)).await.map_err(late)?? {
            Reply::Invoke(answer) if answer.is_empty() => Ok(Bytes::from_static(b"null")),
            Reply::Invoke(answer) => Ok(answer),
            _ => Err(wrong_reply()),
        }
    };
    call.instrument(span).await
}

/// Runs a call until the deadline of its context; without a deadline, to its end.
///
/// Errors: those of the call; `Timeout` at the deadline. The call is dropped then.
pub async fn within<T>(cx: &Context, call: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(left) = cx.remaining() else { return call.await };
    match select(std::pin::pin!(call), cx.sleep(left)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => {
            let message = "the handler did not end before its deadline; give it less to do";
            Err(Error::new(ErrorKind::Timeout, message))
        }
    }
}

fn span(event: &Event, cx: &Context) -> Span {
    let (operation, resource, id) = match event {
        Event::Http(request) => ("http", request.uri().path(), None),
        Event::Message { topic, message, .. } => ("on_message", topic.as_str(), Some(message.id.to_string())),
        Event::Object { event, .. } => ("on_object", event.bucket.as_str(), Some(excerpt(&event.key))),
        Event::Write(event) => ("on_write", event.table.as_str(), Some(excerpt(&event.key.to_string()))),
        Event::Schedule(tick) => ("on_schedule", tick.schedule.as_str(), None),
        Event::Invoke(call) => ("on_invoke", call.function.as_str(), None),
    };
    // Which of several handlers of one topic or bucket it is.
    let trigger = match event {
        Event::Message { subscription: name, .. } | Event::Object { trigger: name, .. } => Some(name.as_str()),
        _ => None,
    };
    let trigger = trigger.filter(|name| *name != DEFAULT_SUBSCRIPTION);
    tracing::info_span!(
        "event",
        provider = cx.provider(),
        invocation = cx.invocation_id(),
        trace = &*cx.trace_id(),
        operation,
        resource,
        trigger,
        id,
        attempt = cx.attempt(),
    )
}

fn wrong_reply() -> Error {
    Error::internal("bug in isobar: the function returned a reply to another kind of event; please report it")
}

/// An error as JSON for the caller of a function: `errorType` is the kind, `errorMessage` the text without sources.
pub fn describe(error: &Error) -> String {
    serde_json::json!({"errorType": error.kind().name(), "errorMessage": error.to_string()}).to_string()
}

/// A name from an event, for an error text: at most 100 characters, control characters escaped.
pub fn excerpt(name: &str) -> String {
    let end = name.char_indices().nth(100).map_or(name.len(), |(end, _)| end);
    name[..end].escape_debug().to_string()
}
