//! Finds the handler of an event, runs it inside the layers, and makes the reply.
//!
//! The limits of requests, responses and payloads are checked here, on every host, so that an app has the same limits
//! everywhere.

use std::sync::Arc;

use async_trait::async_trait;
use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::{Request, Response};

use super::App;
use super::handler::{Guarded, Handler, guarded};
use super::http::{Overrun, limit_request};
use super::layer::Next;
use super::rejection::rejection;
use super::response::checked;
use super::trigger::describe;
use crate::ambient::Ambient;
use crate::function::Function;
use crate::{Body, Context, Error, ErrorKind, Event, Invocation, Outcome, Reply, Result};

#[async_trait]
impl Function for App {
    async fn call(&self, event: Event, cx: Context) -> Result<Reply> {
        // Of several prefixes that match a path, the longest is the last.
        let found = self.triggers.iter().rev().find(|(trigger, _)| trigger.matches(&event));
        let Some((trigger, handler)) = found else { return Err(self.unhandled(&event)) };
        if trigger.leaves_out(&event) {
            return Ok(Reply::Handled(Outcome::Ack));
        }
        match event {
            Event::Http(request) => Ok(Reply::Http(self.on_http(handler, request, cx).await)),
            Event::Invoke(call) => self.on_call(handler, call, cx).await.map(Reply::Invoke).map_err(|error| {
                let (kind, name, _) = trigger.key();
                error.with_operation("invoke").with_resource(format!("{kind} `{name}`"))
            }),
            event => Ok(Reply::Handled(self.on_event(handler, event, cx).await)),
        }
    }
}

impl App {
    async fn on_http(&self, handler: &Arc<Handler>, request: Request<Body>, cx: Context) -> Response<Body> {
        if let Some(response) = rejection(&request, &self.limits) {
            return response;
        }
        let method = request.method().clone();
        let overrun = Overrun::default();
        let request = match limit_request(request, &self.limits, &overrun) {
            Ok(request) => request,
            Err(too_large) => return too_large.into_response(&cx).await,
        };
        let called = self.run(handler, Event::Http(request), cx).await;
        if let Some(response) = overrun.response(&self.limits) {
            return response;
        }
        let response = match called.unwrap_or_else(panicked) {
            Ok(Reply::Http(response)) => response,
            Ok(other) => wrong_reply("an HTTP request", &other).into_response(),
            Err(error) => error.into_response(),
        };
        // A response that is too large, or that no host can send, is a fault of the app, not of its client.
        checked(response, &method, &self.limits).unwrap_or_else(|error| {
            let message = error.message().to_owned();
            Error::internal(message).with_source(error).into_response()
        })
    }

    async fn on_call(&self, handler: &Arc<Handler>, call: Invocation, cx: Context) -> Result<Bytes> {
        let limit = self.limits.invoke_bytes;
        check_size("the payload", &call.payload, limit)?;
        let called = self.run(handler, Event::Invoke(call), cx).await;
        match called.unwrap_or_else(panicked)? {
            Reply::Invoke(answer) => check_size("the answer", &answer, limit).map(|()| answer),
            other => Err(wrong_reply("a direct call", &other)),
        }
    }

    /// Returns the outcome of an event; a panic is a retry.
    async fn on_event(&self, handler: &Arc<Handler>, event: Event, cx: Context) -> Outcome {
        match self.run(handler, event, cx).await {
            Ok(Ok(Reply::Handled(outcome))) => outcome,
            Ok(Ok(other)) => wrong_reply("an event", &other).into(),
            Ok(Err(error)) => error.into(),
            Err(panic) => Outcome::retry(panic),
        }
    }

    /// Runs the layers and the handler. The outer `Err` is the text of a panic.
    fn run(&self, handler: &Arc<Handler>, event: Event, cx: Context) -> Guarded {
        guarded(Ambient::of(&cx), || Next::new(&self.layers, handler).call(event, cx))
    }

    /// The error of an event without a handler: it names the event, and the events that the app handles.
    fn unhandled(&self, event: &Event) -> Error {
        let (what, handled) = (describe(event), self.manifest().handled());
        let message = format!("app `{}` has no handler for {what}; it handles {handled}", self.name);
        if let Event::Http(_) = event {
            // A client must not see the structure of the app.
            tracing::warn!("answered 404: {message}");
            return Error::not_found("nothing is served at this path");
        }
        Error::new(ErrorKind::NotFound, message)
    }
}

fn panicked(text: String) -> Result<Reply> {
    Err(Error::internal(text))
}

fn wrong_reply(what: &str, reply: &Reply) -> Error {
    let kind = match reply {
        Reply::Http(_) => "`Reply::Http`",
        Reply::Handled(_) => "`Reply::Handled`",
        Reply::Invoke(_) => "`Reply::Invoke`",
    };
    Error::internal(format!("a layer replied to {what} with {kind}; it must reply with the kind of the event"))
}

fn check_size(what: &str, bytes: &Bytes, limit: u64) -> Result<()> {
    let size = bytes.len() as u64;
    if size > limit { Err(Error::too_large(what, size, limit)) } else { Ok(()) }
}
