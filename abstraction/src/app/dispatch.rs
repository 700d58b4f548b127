//! From an event to its handler, and back.

use async_trait::async_trait;
use axum_core::response::IntoResponse;
use bytes::Bytes;
use http::Request;

use super::App;
use super::handler::{Handler, guarded};
use super::http::{Overrun, limit_request};
use super::refusal::refused;
use super::response::checked;
use crate::driver::Ambient;
use crate::{Body, Context, Error, ErrorKind, Event, Function, Invocation, Outcome, Reply, Result};

#[async_trait]
impl Function for App {
    async fn call(&self, event: Event, cx: Context) -> Result<Reply> {
        match event {
            Event::Http(request) => self.on_http(request, cx).await.map(Reply::Http),
            Event::Message { topic, subscription, message } => {
                let source = (topic, subscription);
                let trigger = self.messages.get(&source);
                let trigger = trigger.ok_or_else(|| self.unhandled("message of topic", &source.0))?;
                run(&trigger.handler, message, cx).await
            }
            Event::Object(event) => {
                let trigger = self.objects.get(&event.bucket);
                let trigger = trigger.ok_or_else(|| self.unhandled("object event of bucket", &event.bucket))?;
                run(&trigger.handler, event, cx).await
            }
            Event::Schedule(tick) => {
                let schedule = self.schedules.get(&tick.schedule);
                let schedule = schedule.ok_or_else(|| self.unhandled("schedule", &tick.schedule))?;
                run(&schedule.handler, tick, cx).await
            }
            Event::Invoke(call) => self.on_call(call, cx).await.map(Reply::Invoke),
        }
    }
}

impl App {
    async fn on_http(&self, request: Request<Body>, cx: Context) -> Result<http::Response<Body>> {
        let Some(service) = &self.http else {
            // What the app is made of is no matter of its clients.
            tracing::warn!("answered 404: {}", self.unhandled("HTTP", request.uri().path()).message());
            return Err(Error::not_found("this app answers no HTTP requests"));
        };
        if let Some(refusal) = refused(&request, &self.limits) {
            return Ok(refusal);
        }
        let method = request.method().clone();
        let overrun = Overrun::default();
        let mut request = match limit_request(request, &self.limits, &overrun) {
            Ok(request) => request,
            Err(refused) => return Ok(refused.into_response(&cx).await),
        };
        let ambient = Ambient::of(&cx);
        request.extensions_mut().insert(cx);
        let called = guarded(ambient, || service(request)).await;
        if let Some(refusal) = overrun.response(&self.limits) {
            return Ok(refusal);
        }
        let response = match called {
            Ok(response) => checked(response, &method, &self.limits),
            Err(panic) => Err(Error::internal(panic)),
        };
        // What the app answers is too large, or no host can send it: that is the app's fault, not the client's.
        Ok(response.unwrap_or_else(|error| {
            let message = error.message().to_owned();
            Error::internal(message).with_source(error).into_response()
        }))
    }

    async fn on_call(&self, call: Invocation, cx: Context) -> Result<Bytes> {
        let handler = self.invokes.get(&call.function);
        let handler = handler.ok_or_else(|| self.unhandled("invocation of", &call.function))?;
        let (function, limit) = (call.function, self.limits.invoke_bytes);
        check_size("the payload", &call.payload, limit)?;
        let called = guarded(Ambient::of(&cx), || handler(call.payload, cx)).await;
        let answer = called.unwrap_or_else(|panic| Err(Error::internal(panic)));
        let answer = answer.and_then(|answer| check_size("the answer", &answer, limit).map(|()| answer));
        answer.map_err(|error| error.with_operation("invoke").with_resource(format!("function `{function}`")))
    }

    /// Names what the event looked like, and what the app handles.
    fn unhandled(&self, what: &str, name: &str) -> Error {
        let handled = self.manifest().handled();
        let message = format!("app `{}` has no handler for {what} `{name}`; it handles {handled}", self.name);
        Error::new(ErrorKind::NotFound, message)
    }
}

/// Runs a handler. A panic is a retry.
async fn run<E>(handler: &Handler<E, Outcome>, event: E, cx: Context) -> Result<Reply> {
    let called = guarded(Ambient::of(&cx), || handler(event, cx)).await;
    Ok(Reply::Handled(called.unwrap_or_else(Outcome::retry)))
}

fn check_size(what: &str, bytes: &Bytes, limit: u64) -> Result<()> {
    let size = bytes.len() as u64;
    if size > limit { Err(Error::too_large(what, size, limit)) } else { Ok(()) }
}
