//! From the local server and queue to the events of an app, and back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request};
use isobar_abstraction::function::answer;
use isobar_abstraction::pub_sub::Message;
use isobar_abstraction::{
    Batch, Clock, Context, Error, ErrorKind, Event, Function, Outcome, Reply, ResourceKind, Result, Tick, TraceParent,
};

use crate::profile::PROFILE;
use crate::pub_sub::Source;

/// The context of a new invocation that may take as long as `timeout`.
pub(crate) fn context(clock: &Arc<dyn Clock>, timeout: Duration) -> Context {
    Context::new(PROFILE.provider, Arc::clone(clock)).with_deadline(clock.now() + timeout)
}

/// The trace that a caller sent.
pub(crate) fn traced(cx: Context, headers: &HeaderMap) -> Context {
    let parent = headers.get(TraceParent::NAME).and_then(|value| value.to_str().ok()?.parse::<TraceParent>().ok());
    match parent {
        Some(parent) => cx.with_trace_parent(parent.child()),
        None => cx,
    }
}

/// Answers an HTTP request, whatever the function does.
pub(crate) async fn respond(
    function: &dyn Function,
    clock: &Arc<dyn Clock>,
    timeout: Duration,
    request: Request<Body>,
) -> Response {
    let cx = traced(context(clock, timeout), request.headers());
    answer(function, request, cx).await
}

/// Hands a message of a topic, or an object event of a bucket, to the function.
pub(crate) async fn deliver(
    function: &dyn Function,
    clock: &Arc<dyn Clock>,
    source: &Source,
    message: Message<Bytes>,
) -> Outcome {
    let timeout = PROFILE.limits.event_timeout;
    let cx = context(clock, timeout).with_attempt(message.attempt);
    let event = match source.kind() {
        ResourceKind::Bucket => serde_json::from_slice(&message.body).map(Event::Object),
        _ => Ok(Event::Messages(Batch { topic: source.name().to_owned(), messages: vec![message] })),
    };
    let Ok(event) = event else { return Outcome::reject("the stored object event cannot be read") };
    match within(timeout, function.call(event, cx)).await {
        Ok(Reply::Handled(outcome)) => outcome,
        Ok(Reply::Messages(mut outcomes)) => outcomes.pop().unwrap_or_else(|| Outcome::retry("no answer")),
        Ok(_) => Outcome::retry(wrong_reply().to_string()),
        Err(error) => Outcome::retry(error.to_string()),
    }
}

/// Runs a schedule. What its handler fails with is an outcome, which the app has logged. Errors: those of the
/// call itself, which nothing has logged.
pub(crate) async fn tick(function: &dyn Function, tick: Tick, cx: Context) -> Result<Outcome> {
    match within(PROFILE.limits.event_timeout, function.call(Event::Schedule(tick), cx)).await? {
        Reply::Handled(outcome) => Ok(outcome),
        _ => Err(wrong_reply()),
    }
}

/// Ends a call at its deadline, as a platform would.
pub(crate) async fn within(timeout: Duration, call: impl Future<Output = Result<Reply>>) -> Result<Reply> {
    let late = |_| {
        let message = format!("the handler did not end within {} s", timeout.as_secs());
        Error::new(ErrorKind::Timeout, message)
    };
    tokio::time::timeout(timeout, call).await.map_err(late)?
}

pub(crate) fn wrong_reply() -> Error {
    Error::internal("the function gave a reply to another kind of event")
}
