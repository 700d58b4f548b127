//! Calls of the app that the history records.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use isobar_abstraction::driver::{Function, host};
use isobar_abstraction::{Context, Error, Event, Invocation, Outcome, Result};

use crate::event;
use crate::history::{Content, Ending, Running};
use crate::state::State;

/// Handles an event that no queue settles. Errors: those of [`host::handle`].
pub(super) async fn handle(state: &State, function: &dyn Function, event: Event, cx: Context) -> Result<Outcome> {
    let running = state.history.begin(&event, &cx, false);
    handle_in(running, function, event, cx).await
}

async fn handle_in(running: Running, function: &dyn Function, event: Event, cx: Context) -> Result<Outcome> {
    let handled = running.run(pin!(host::handle(function, event, cx))).await;
    running.end(match &handled {
        Ok(Outcome::Ack) => Ending::Done(None),
        Ok(Outcome::Retry { reason, .. } | Outcome::Reject { reason }) => Ending::Failed(reason.clone()),
        Ok(_) => Ending::Failed("the handler returned an unknown outcome".to_owned()),
        Err(error) => Ending::Failed(reason(error)),
    });
    handled
}

/// Calls a function directly.
pub(super) async fn invoke(state: &State, function: &dyn Function, call: Invocation, cx: Context) -> Result<Bytes> {
    let running = state.history.begin(&Event::Invoke(call.clone()), &cx, false);
    invoke_in(running, function, call, cx).await
}

async fn invoke_in(running: Running, function: &dyn Function, call: Invocation, cx: Context) -> Result<Bytes> {
    let answer = running.run(pin!(host::invoke(function, call, cx))).await;
    running.end(match &answer {
        Ok(answer) => Ending::Done(Some(answer.clone())),
        Err(error) => Ending::Failed(reason(error)),
    });
    answer
}

/// Starts the event of a record again, with a new trace and outside of its queue. Returns the id of the new record.
pub(super) fn again(state: &State, function: Arc<dyn Function>, content: Content) -> Option<u64> {
    let context = |timeout: Duration| event::context(&state.clock, timeout);
    let (history, limits) = (&state.history, &state.profile.limits);
    match content.into_event() {
        Event::Http(request) => {
            let cx = context(limits.http_timeout);
            let (request, running) = history.begin_request(request, &cx, true);
            let id = running.id();
            tokio::spawn(async move {
                let response = running.run(pin!(host::answer(&*function, request, cx))).await;
                let mut body = running.respond(response).into_body();
                // The app may still run while its response is read, as for a client.
                while let Some(Ok(_)) = body.frame().await {}
            });
            id
        }
        event => {
            let cx = context(limits.event_timeout);
            let running = history.begin(&event, &cx, true);
            let id = running.id();
            // The record has the result.
            tokio::spawn(async move {
                match event {
                    Event::Invoke(call) => drop(invoke_in(running, &*function, call, cx).await),
                    event => drop(handle_in(running, &*function, event, cx).await),
                }
            });
            id
        }
    }
}

/// An error with its sources, in one line.
pub(super) fn reason(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.message().to_owned(), |text, cause| format!("{text}: {cause}"))
}
