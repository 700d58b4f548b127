//! From an event to its handler, and back.

use std::collections::HashMap;

use async_trait::async_trait;
use axum_core::response::IntoResponse;
use bytes::Bytes;
use futures_util::future::{FutureExt, join_all};
use http::Request;
use tracing::{Instrument, Span};

use super::App;
use super::handler::guarded;
use super::http::{Overrun, limit_request};
use super::refusal::refused;
use super::response::checked;
use crate::function::before_deadline;
use crate::pub_sub::Message;
use crate::{
    Batch, Body, Context, Error, ErrorKind, Event, Function, Invocation, ObjectEvent, Outcome, Reply, Result, Tick,
};

#[async_trait]
impl Function for App {
    async fn call(&self, event: Event, cx: Context) -> Result<Reply> {
        match event {
            Event::Http(request) => self.on_http(request, cx).await.map(Reply::Http),
            Event::Messages(batch) => self.on_batch(batch, cx).await.map(Reply::Messages),
            Event::Object(event) => self.on_object_event(event, cx).await.map(Reply::Handled),
            Event::Schedule(tick) => self.on_tick(tick, cx).await.map(Reply::Handled),
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
        let ambient = cx.ambient();
        request.extensions_mut().insert(cx);
        let called = guarded(ambient, || service.call(request)).await;
        if let Some(refusal) = overrun.response(&self.limits) {
            return Ok(refusal);
        }
        let response = match called {
            Ok(response) => checked(response, &method, &self.limits, ambient),
            Err(panic) => Err(Error::internal(panic)),
        };
        // What the app answers is too large, or no host can send it: that is the app's fault, not the client's.
        Ok(response.unwrap_or_else(|error| {
            let message = error.message().to_owned();
            Error::internal(message).with_source(error).into_response()
        }))
    }

    /// Messages without an ordering key run at once; those of one key one after the other, and
    /// after one that must be tried again the rest of its key waits for it.
    async fn on_batch(&self, batch: Batch, cx: Context) -> Result<Vec<Outcome>> {
        let Batch { topic, mut messages } = batch;
        if !self.messages.contains_key(&topic) {
            return Err(self.unhandled("message of topic", &topic));
        }
        if messages.len() <= 1 {
            let Some(message) = messages.pop() else { return Ok(Vec::new()) };
            return Ok(vec![self.on_single(&topic, message, &cx).await]);
        }
        let lanes = lanes(messages).into_iter().map(|lane| self.on_lane(&topic, lane, &cx));
        let mut outcomes: Vec<_> = join_all(lanes).await.into_iter().flatten().collect();
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    async fn on_lane(&self, topic: &str, lane: Vec<(usize, Message<Bytes>)>, cx: &Context) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(lane.len());
        let mut blocked = false;
        for (place, message) in lane {
            let outcome = match blocked {
                true => Outcome::retry("an earlier message of the same ordering key is tried again"),
                false => self.on_single(topic, message, cx).await,
            };
            blocked |= matches!(outcome, Outcome::Retry { .. });
            outcomes.push((place, outcome));
        }
        outcomes
    }

    async fn on_single(&self, topic: &str, message: Message<Bytes>, cx: &Context) -> Outcome {
        let Some(trigger) = self.messages.get(topic) else {
            return Outcome::retry("the topic has no handler");
        };
        let trace = message.trace_parent.unwrap_or_else(|| cx.trace_parent());
        let cx = cx.clone().with_attempt(message.attempt).with_trace_parent(trace);
        let span = tracing::info_span!(
            "message",
            provider = cx.provider(),
            invocation = cx.invocation_id(),
            trace = &*cx.trace_id(),
            operation = "on_message",
            resource = topic,
            id = message.id.as_str(),
            attempt = message.attempt,
        );
        let called = guarded(cx.ambient(), || (trigger.handler)(message, cx.clone()));
        settle(called, &cx, span).await
    }

    async fn on_object_event(&self, event: ObjectEvent, cx: Context) -> Result<Outcome> {
        let trigger = self.objects.get(&event.bucket);
        let trigger = trigger.ok_or_else(|| self.unhandled("object event of bucket", &event.bucket))?;
        let span = event_span(&cx, "on_object", &event.bucket);
        let called = guarded(cx.ambient(), || (trigger.handler)(event, cx.clone()));
        Ok(settle(called, &cx, span).await)
    }

    async fn on_tick(&self, tick: Tick, cx: Context) -> Result<Outcome> {
        let schedule = self.schedules.get(&tick.schedule);
        let schedule = schedule.ok_or_else(|| self.unhandled("schedule", &tick.schedule))?;
        let span = event_span(&cx, "on_schedule", &tick.schedule);
        let called = guarded(cx.ambient(), || (schedule.handler)(tick, cx.clone()));
        Ok(settle(called, &cx, span).await)
    }

    async fn on_call(&self, call: Invocation, cx: Context) -> Result<Bytes> {
        let handler = self.invokes.get(&call.function);
        let handler = handler.ok_or_else(|| self.unhandled("invocation of", &call.function))?;
        let (function, limit) = (call.function, self.limits.invoke_bytes);
        check_size("the payload", &call.payload, limit)?;
        let span = event_span(&cx, "on_invoke", &function);
        let called =
            before_deadline(&cx, guarded(cx.ambient(), || handler(call.payload, cx.clone())).map(Ok::<_, Error>));
        let called = called.map(|called| {
            called.inspect_err(|late| tracing::error!(error = late.message(), "the direct call ended at its deadline"))
        });
        let called = called.instrument(span).await;
        let answer = called.and_then(|called| called.unwrap_or_else(|panic| Err(Error::internal(panic))));
        let answer = answer.and_then(|answer| check_size("the answer", &answer, limit).map(|()| answer));
        answer.map_err(|error| error.with_operation("invoke").with_resource(format!("function `{function}`")))
    }

    /// Names what the event looked like, and what the app handles.
    fn unhandled(&self, what: &str, name: &str) -> Error {
        let mut handled: Vec<String> = Vec::new();
        handled.extend(self.http.as_ref().map(|_| "HTTP".to_owned()));
        handled.extend(self.messages.keys().map(|topic| format!("topic `{topic}`")));
        handled.extend(self.objects.keys().map(|bucket| format!("bucket `{bucket}`")));
        handled.extend(self.schedules.keys().map(|schedule| format!("schedule `{schedule}`")));
        handled.extend(self.invokes.keys().map(|function| format!("function `{function}`")));
        handled.sort();
        let handled = if handled.is_empty() { "nothing".to_owned() } else { handled.join(", ") };
        let message = format!("app `{}` has no handler for {what} `{name}`; it handles {handled}", self.name);
        Error::new(ErrorKind::NotFound, message)
    }
}

fn event_span(cx: &Context, operation: &'static str, resource: &str) -> Span {
    tracing::info_span!(
        "event",
        provider = cx.provider(),
        invocation = cx.invocation_id(),
        trace = &*cx.trace_id(),
        operation,
        resource,
        attempt = cx.attempt(),
    )
}

/// Awaits a handler inside its span, until its deadline. A panic is a retry, and so is a handler that is late; what is
/// not an ack is logged.
async fn settle(called: impl Future<Output = Result<Outcome, String>>, cx: &Context, span: Span) -> Outcome {
    let settled = before_deadline(cx, called.map(Ok::<_, Error>)).map(|called| {
        let outcome = match called {
            Ok(called) => called.unwrap_or_else(Outcome::retry),
            Err(late) => Outcome::retry(late.message()),
        };
        match &outcome {
            Outcome::Ack => {}
            Outcome::Retry { reason, .. } => tracing::warn!(reason, "the handler asks to try again"),
            Outcome::Reject { reason } => tracing::warn!(reason, "the handler rejected the event"),
        }
        outcome
    });
    settled.instrument(span).await
}

fn check_size(what: &str, bytes: &Bytes, limit: u64) -> Result<()> {
    let size = bytes.len() as u64;
    if size > limit { Err(Error::too_large(what, size, limit)) } else { Ok(()) }
}

/// Messages that must follow each other, with their places in the batch.
fn lanes(messages: Vec<Message<Bytes>>) -> Vec<Vec<(usize, Message<Bytes>)>> {
    let mut lanes: Vec<Vec<_>> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    for (place, message) in messages.into_iter().enumerate() {
        let lane = match &message.ordering_key {
            Some(key) => *by_key.entry(key.clone()).or_insert(lanes.len()),
            None => lanes.len(),
        };
        if lane == lanes.len() {
            lanes.push(Vec::new());
        }
        lanes[lane].push((place, message));
    }
    lanes
}
