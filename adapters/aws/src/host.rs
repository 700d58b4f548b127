//! The host: the loop on Lambda's runtime API and the handling of its events.

mod direct;
mod http;
mod names;
mod queue;
mod runtime;
mod source;
mod stream;
#[cfg(test)]
mod tests;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, Response};
use bytes::Bytes;
use isobar_abstraction::clock::later;
use isobar_abstraction::driver::Hosted;
use isobar_abstraction::driver::host::{handle, invoke, within};
use isobar_abstraction::{Body, Context, Error, ErrorKind, Event, Result, Tick};
use tracing::{Instrument, Span};

use crate::State;
use crate::event::{self, Direct, Incoming, Shape, from_xray};
use crate::profile::PROFILE;

pub(crate) use names::check_names;
pub(crate) use runtime::run;

/// Time reserved before Lambda's deadline to send the response: Lambda kills a late process, and the next
/// request then needs a cold start.
const MARGIN: Duration = Duration::from_millis(100);

/// Handles Lambda's events with an app.
#[derive(Clone)]
pub struct Lambda {
    pub(crate) state: Arc<State>,
    pub(crate) app: Hosted,
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lambda").field("app", &self.app).finish_non_exhaustive()
    }
}

/// Metadata of an invocation from Lambda.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LambdaCall {
    /// The request id.
    pub request_id: String,
    /// When Lambda ends the invocation.
    pub deadline: SystemTime,
    /// The ARN of the invoked function, with its region and account.
    pub function_arn: String,
    /// The X-Ray trace header, if there is one.
    pub xray_trace: Option<String>,
}

impl LambdaCall {
    /// Metadata for tests and other loops.
    pub fn new(request_id: impl Into<String>, deadline: SystemTime, function_arn: impl Into<String>) -> Self {
        Self { request_id: request_id.into(), deadline, function_arn: function_arn.into(), xray_trace: None }
    }

    /// A part of the ARN `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, by its index from 0.
    fn part_of_arn(&self, index: usize) -> Option<&str> {
        let mut parts = self.function_arn.split(':');
        (parts.next() == Some("arn")).then(|| parts.nth(index - 1)).flatten().filter(|part| !part.is_empty())
    }
}

/// The response to Lambda.
#[derive(Debug)]
pub enum LambdaReply {
    /// A complete response as JSON.
    Json(Bytes),
    /// A streamed HTTP response, for a Function URL with the invoke mode `RESPONSE_STREAM`.
    Stream(Response<Body>),
}

const PONG: LambdaReply = LambdaReply::Json(Bytes::from_static(br#"{"isobar":"pong"}"#));

/// Adds the request id to log lines. A span costs some microseconds, and the app opens another one: for
/// HTTP the host opens a span only to log an error.
fn span(call: &LambdaCall) -> tracing::Span {
    tracing::info_span!("lambda", invocation = call.request_id)
}

impl LambdaReply {
    fn null() -> Self {
        Self::Json(Bytes::from_static(b"null"))
    }
}

impl Lambda {
    /// Handles one event. An `Err` is a failed invocation: Lambda counts it and repeats it if the
    /// invocation was asynchronous.
    ///
    /// An HTTP request always has a response: an error of the app is a status, as on every provider. Errors: those of
    /// the app for all other events; `InvalidInput` for an event that is not JSON or is malformed;
    /// `NotFound` for an event without a handler; `Timeout` for a direct call that does not end before
    /// Lambda's deadline less a margin. Any other late event is delivered again; of a batch of messages, only
    /// the late ones.
    pub async fn handle(&self, event: &[u8], call: LambdaCall) -> Result<LambdaReply> {
        if let Some(account) = call.part_of_arn(4) {
            self.state.account.get_or_init(|| account.to_owned());
        }
        let incoming = Incoming::read(event)?;
        let shape = incoming.shape();
        // The app's span of an HTTP request has the same fields.
        let span = if matches!(shape, Shape::Http(_)) { Span::none() } else { span(&call) };
        self.dispatch(event, &incoming, shape, &call).instrument(span).await
    }

    async fn dispatch(
        &self,
        text: &[u8],
        incoming: &Incoming<'_>,
        shape: Shape,
        call: &LambdaCall,
    ) -> Result<LambdaReply> {
        let (null, now) = (|()| LambdaReply::null(), self.state.clock.now());
        match shape {
            Shape::Http(gateway) => self.http(gateway, incoming, call).await,
            Shape::Queue => queue::handle(self, incoming, &self.context(call)).await.map(LambdaReply::Json),
            Shape::Topic => {
                let cx = self.context(call);
                within(&cx, direct::handle_topic(self, incoming, &cx)).await.map(null)
            }
            Shape::Bucket => {
                let cx = self.context(call);
                within(&cx, direct::handle_bucket(self, text, incoming, &cx)).await.map(null)
            }
            Shape::Stream => {
                let cx = self.context(call);
                within(&cx, writes::handle(self, incoming)).await.map(LambdaReply::Json)
            }
            Shape::Schedule => {
                self.tick(event::schedule(incoming, &self.state.config.prefix.get()?, now)?, call).await.map(null)
            }
            Shape::Direct => match Direct::read(&incoming.fields, now)? {
                Direct::Invoke(invocation) => {
                    invoke(self.app.function.as_ref(), invocation, self.context(call)).await.map(LambdaReply::Json)
                }
                Direct::Schedule(tick) => self.tick(tick, call).await.map(null),
                Direct::Ping => Ok(PONG),
            },
            Shape::WarmUp => Ok(PONG),
            Shape::BucketTest => Ok(LambdaReply::null()),
            // Never calls the app's only function, which every misdirected event of AWS would run.
            Shape::Unknown => Err(self.unhandled("an event of a kind that isobar does not know", incoming)),
            Shape::Foreign(service) => Err(self.unhandled(&service, incoming)),
        }
    }

    /// Runs a schedule. A failed tick is a failed invocation, so that Lambda counts it; the settings of the
    /// function decide about repeats.
    async fn tick(&self, tick: Tick, call: &LambdaCall) -> Result<()> {
        handle(self.app.function.as_ref(), Event::Schedule(tick), self.context(call)).await?.into_result()
    }

    /// The error of an event without a handler: the kind and field names of the event, without values, and the
    /// app's handlers.
    fn unhandled(&self, what: &str, event: &Incoming<'_>) -> Error {
        let (app, handled, names) = (&self.app.manifest.app, self.app.manifest.handled(), event.names());
        let call = r#"call a function with {"isobar":"invoke","function":NAME,"payload":…}"#;
        let message = format!("{what}, with {names}: app `{app}` has no handler for it; it handles {handled}; {call}");
        Error::new(ErrorKind::NotFound, message)
    }

    /// The context of an invocation that only Lambda limits.
    fn context(&self, call: &LambdaCall) -> Context {
        self.limited_context(call, PROFILE.limits.event_timeout, None)
    }

    /// The context of an invocation that is limited to `most`.
    fn limited_context(&self, call: &LambdaCall, most: Duration, headers: Option<&HeaderMap>) -> Context {
        let now = self.state.clock.now();
        // Some emulators send a deadline in the past.
        let deadline = Some(call.deadline).filter(|deadline| *deadline > now);
        let deadline = deadline.map(|deadline| deadline.checked_sub(MARGIN).unwrap_or(now).max(now));
        let deadline = deadline.map_or(later(now, most), |deadline| deadline.min(later(now, most)));
        let clock = Arc::clone(&self.state.clock);
        let mut cx = Context::with_id(PROFILE.provider, clock, call.request_id.as_str()).with_deadline(deadline);
        if let Some(name) = call.part_of_arn(6) {
            cx = cx.with_function(name);
        }
        if let Some(parent) = call.xray_trace.as_deref().and_then(from_xray) {
            cx = cx.with_trace_parent(parent.child());
        }
        match headers {
            Some(headers) => cx.with_trace_of(headers),
            None => cx,
        }
    }
}
