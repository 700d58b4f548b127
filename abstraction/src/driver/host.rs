//! What every host does alike: it calls a [`Function`] with an event, in a span and until the deadline, and reads
//! the reply.
//!
//! A host turns the form that its platform has for an event into a call of this module, and the answer into what
//! the platform takes:
//!
//! | event | call |
//! |---|---|
//! | an HTTP request | [`answer`], or [`answer_whole`] where the platform takes no stream |
//! | a message, an object event | [`deliver`]; [`deliver_changes`] for changes by the names of a storage service |
//! | a tick | [`handle`], and [`Outcome::into_result`] where the platform only knows success and failure |
//! | a direct call | [`invoke`] |

mod fields;
mod http;
mod object;
mod streamed;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures_util::future::{Either, FutureExt, select};
use tracing::{Instrument, Span};

pub use crate::app::note_panic;
use crate::function::Function;
pub use crate::json::escaped_size;
use crate::outcome::chain;
use crate::{Context, Error, ErrorKind, Event, Invocation, Outcome, Reply, Result};
pub use fields::{Fields, text};
pub use http::{REQUEST_ID, answer, answer_whole, refuse};
pub use object::{StoredChange, deliver_changes};

/// Delivers a message or an object event. Whatever the function does, there is an outcome: an `Err` is a retry, and
/// so is a handler that is not at its end at the deadline of `cx`.
///
/// A message brings its attempt and its trace with it. What is not an ack is logged, an `Err` as an error.
pub async fn deliver(function: &dyn Function, event: Event, cx: Context) -> Outcome {
    let failed = |error: Error| {
        tracing::error!(error = chain(&error), "the event cannot be handled");
        Outcome::retry(error.to_string())
    };
    let (span, handled) = handled(function, event, cx);
    handled.map(|handled| handled.unwrap_or_else(failed)).instrument(span).await
}

/// [`deliver`], for hosts that answer a failed call otherwise than a failed handler: schedules.
///
/// Errors: those of the call itself, which nothing has logged: `NotFound` without a handler.
pub async fn handle(function: &dyn Function, event: Event, cx: Context) -> Result<Outcome> {
    let (span, handled) = handled(function, event, cx);
    handled.instrument(span).await
}

/// The span of an event, and what is to run in it.
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
            Outcome::Retry { reason, .. } => tracing::warn!(reason, "the handler asks to try again"),
            Outcome::Reject { reason } => tracing::warn!(reason, "the handler rejected the event"),
        }
        Ok(outcome)
    };
    (span, handled)
}

/// Calls a function directly, and returns its answer as JSON; `null` for an empty one.
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

/// Ends a call at the deadline of its context. Without one it runs to its end. Errors: `Timeout`.
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
        Event::Message { topic, message, .. } => ("on_message", topic.as_str(), Some(message.id.as_str())),
        Event::Object(event) => ("on_object", event.bucket.as_str(), None),
        Event::Schedule(tick) => ("on_schedule", tick.schedule.as_str(), None),
        Event::Invoke(call) => ("on_invoke", call.function.as_str(), None),
    };
    tracing::info_span!(
        "event",
        provider = cx.provider(),
        invocation = cx.invocation_id(),
        trace = &*cx.trace_id(),
        operation,
        resource,
        id,
        attempt = cx.attempt(),
    )
}

fn wrong_reply() -> Error {
    Error::internal("the function gave a reply to another kind of event")
}

/// An error for a caller, as JSON: its kind and its text, without its sources.
pub fn describe(error: &Error) -> String {
    serde_json::json!({"errorType": error.kind().name(), "errorMessage": error.to_string()}).to_string()
}

/// A name that is not ours, for a message: cut, and without control characters.
pub fn excerpt(name: &str) -> String {
    let end = name.char_indices().nth(100).map_or(name.len(), |(end, _)| end);
    name[..end].escape_debug().to_string()
}
