//! From an event to its handler, and back.

use std::sync::Arc;

use async_trait::async_trait;
use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::{Request, Response};

use super::App;
use super::handler::{Guarded, Handler, guarded};
use super::http::{Overrun, limit_request};
use super::layer::Next;
use super::rejection::refused;
use super::response::checked;
use super::trigger::described;
use crate::ambient::Ambient;
use crate::function::Function;
use crate::{Body, Context, Error, ErrorKind, Event, Invocation, Outcome, Reply, Result};

#[async_trait]
impl Function for App {
    async fn call(&self, event: Event, cx: Context) -> Result<Reply> {
        // Of the prefixes that a path is below, the longest is the last.
        let handled = self.triggers.iter().rev().find(|(trigger, _)| trigger.takes(&event));
        let Some((trigger, handler)) = handled else { return Err(self.unhandled(&event)) };
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
        if let Some(rejection) = refused(&request, &self.limits) {
            return rejection;
        }
        let method = request.method().clone();
        let overrun = Overrun::default();
        let request = match limit_request(request, &self.limits, &overrun) {
            Ok(request) => request,
            Err(refused) => return refused.into_response(&cx).await,
        };
        let called = self.run(handler, Event::Http(request), cx).await;
        if let Some(rejection) = overrun.response(&self.limits) {
            return rejection;
        }
        let response = match called.unwrap_or_else(panicked) {
            Ok(Reply::Http(response)) => response,
            Ok(other) => misanswered("an HTTP request", &other).into_response(),
            Err(error) => error.into_response(),
        };
        // What the app answers is too large, or no host can send it: that is the app's fault, not the client's.
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
            other => Err(misanswered("a direct call", &other)),
        }
    }

    /// A panic is a retry.
    async fn on_event(&self, handler: &Arc<Handler>, event: Event, cx: Context) -> Outcome {
        match self.run(handler, event, cx).await {
            Ok(Ok(Reply::Handled(outcome))) => outcome,
            Ok(Ok(other)) => misanswered("an event", &other).into(),
            Ok(Err(error)) => error.into(),
            Err(panic) => Outcome::retry(panic),
        }
    }

    /// Runs the layers and the handler. An `Err` outside is the text of a panic.
    fn run(&self, handler: &Arc<Handler>, event: Event, cx: Context) -> Guarded {
        guarded(Ambient::of(&cx), || Next::new(&self.layers, handler).call(event, cx))
    }

    /// Names what the event looked like, and what the app handles.
    fn unhandled(&self, event: &Event) -> Error {
        let ((what, name), handled) = (described(event), self.manifest().handled());
        let message = format!("app `{}` has no handler for {what} `{name}`; it handles {handled}", self.name);
        if let Event::Http(_) = event {
            // What the app is made of is no matter of its clients.
            tracing::warn!("answered 404: {message}");
            return Error::not_found("nothing is served at this path");
        }
        Error::new(ErrorKind::NotFound, message)
    }
}

fn panicked(text: String) -> Result<Reply> {
    Err(Error::internal(text))
}

fn misanswered(what: &str, reply: &Reply) -> Error {
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
