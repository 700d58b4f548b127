//! The host: a Functions custom handler.
//!
//! # Incoming requests
//!
//! | request | meaning |
//! |---|---|
//! | `GET /` with only the headers of a bare HTTP client | the health probe of the Functions host |
//! | `POST /<kind>-<name>-<secret>` | the Functions host calls a trigger |
//! | any other | a user's request for the app |
//!
//! **No outside client can fire a trigger.** Where HTTP is proxied, a user's `POST /topic-clicks-…` arrives on
//! the same port as the host's own call, with any headers that the user chooses. So the names of functions end
//! in a secret, and nothing else is checked. The app setting
//! [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET) holds the secret; during a rotation,
//! [`ISOBAR_TRIGGER_SECRET_OLD`](crate::ISOBAR_TRIGGER_SECRET_OLD) holds the previous one. A call with a wrong secret is
//! handled as a user's request: it gets the app's response for an unknown path.
//!
//! **No log line of isobar contains a secret.** Where the path of a user's request has the form of a function's name,
//! the app and its log get `***` for the secret: it may be valid, or the secret of another deployment.
//!
//! **The probe.** The host sends `GET /` until it gets a response, and from time to time after that
//! (`SendPingRequestAsync` in its `DefaultHttpWorkerService.cs`), with a client that adds no headers:
//! no user agent, no invocation id, `Host: 127.0.0.1:PORT`. A user's `GET /` always has more headers: the host
//! itself adds `x-ms-invocation-id` where it proxies (`DefaultHttpProxyService.cs`) and
//! `X-Azure-Functions-InvocationId` where it forwards. So a user's request always reaches the app, and a probe
//! never does.

mod answer;
mod called;
mod feed;
mod http;
mod invoke;
mod message;
mod names;
mod object;
mod probe;
mod server;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::http::{HeaderMap, Request, Response};
use isobar_abstraction::driver::Hosted;
use isobar_abstraction::driver::host::excerpt;
use isobar_abstraction::{Body, Context, Error, Result};
use isobar_serve::read_body;
use tracing::Instrument;

use crate::State;
use crate::config::FunctionsHost;
use crate::profile::PROFILE;
use called::Called;

pub(crate) use called::{Kind, queue_name};
pub(crate) use names::check_names;
pub(crate) use server::run;

/// Time reserved before the function's timeout to settle a message and reply. At the timeout the host kills the
/// process, with all other invocations in it.
const MARGIN: Duration = Duration::from_secs(5);

/// Time reserved before the function's timeout to send an HTTP response.
const HTTP_MARGIN: Duration = Duration::from_secs(1);

/// Answers the Functions host's calls with an app. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CustomHandler {
    state: Arc<State>,
    app: Hosted,
    settings: Arc<FunctionsHost>,
    warned: Arc<AtomicBool>,
}

impl CustomHandler {
    pub(crate) fn new(state: Arc<State>, app: Hosted) -> Self {
        let settings = Arc::new(state.config.functions.clone().unwrap_or_default());
        Self { state, app, settings, warned: Arc::default() }
    }

    /// Responds to one request, whatever it is and whatever the app does. The server catches panics of this handler
    /// itself.
    ///
    /// For a trigger, 200 completes it. With any other status the platform counts a failure and tries again: 400 for
    /// a call that cannot be read, 404 for an unknown function, 413 for a call of more than 100 MB, 500 otherwise.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let span = tracing::info_span!("functions", invocation = invocation_id(request.headers()));
        self.answer(request).instrument(span).await
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if probe::is_probe(&request) {
            return Response::new(Body::empty());
        }
        match Called::of(&request, &self.settings, &self.app.manifest) {
            Called::Trigger(name) => {
                let name = name.to_owned();
                self.trigger(&name, request).await.unwrap_or_else(|error| answer::failed(&error))
            }
            Called::Forged => self.forged(request).await,
            Called::Http => self.http(request).await,
        }
    }

    /// Handles a call of the host, whose path contains the secret.
    async fn trigger(&self, name: &str, request: Request<Body>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let (kind, name) = Kind::split(name).ok_or_else(|| self.unknown(name))?;
        let body = read_body(body, PROFILE.limits.request_bytes).await?;
        let timeout = self.settings.timeout().saturating_sub(MARGIN).saturating_sub(self.hold_time(kind));
        let cx = self.context(&parts.headers, timeout).with_function(kind.plain(name));
        match kind {
            Kind::Topic | Kind::Fifo | Kind::Writes => self.message(kind, name, &body, cx).await,
            Kind::Bucket => self.object(name, &body, cx).await,
            Kind::Feed => self.feed(name, &body, cx).await,
            Kind::Schedule => self.tick(name, &body, cx).await,
            Kind::Invoke => self.invoke(name, &body, cx).await,
            Kind::Http => self.json_http(&body, &parts).await,
        }
    }

    /// Lists the app's functions, without the secret. Only a caller that knows the secret gets this.
    fn unknown(&self, name: &str) -> Error {
        let (app, name) = (&self.app.manifest.app, excerpt(&called::masked(name, &self.settings)));
        let names = called::names(&self.app.manifest).join(", ");
        let names = if names.is_empty() { "none".to_owned() } else { names };
        let message = format!("app `{app}` has no function `{name}`; it has {names}, each with -<secret> at its end");
        Error::not_found(message)
    }

    /// The part of the function's timeout that a handler of ordered messages does not get: for this long the response
    /// may be held back before a retry. Zero where the timeout is short.
    fn hold_time(&self, kind: Kind) -> Duration {
        let longest = PROFILE.limits.ordered_retry_after;
        if kind == Kind::Fifo && self.settings.timeout() >= longest * 2 { longest } else { Duration::ZERO }
    }

    /// The context of an invocation with this timeout.
    fn context(&self, headers: &HeaderMap, timeout: Duration) -> Context {
        let cx = Context::new(PROFILE.provider, Arc::clone(&self.state.clock));
        let cx = cx.with_timeout(timeout).with_trace_of(headers);
        match invocation_id(headers) {
            Some(id) => cx.with_invocation_id(id),
            None => cx,
        }
    }
}

/// The host's invocation id: of a call or a forwarded request, or of a proxied request.
fn invocation_id(headers: &HeaderMap) -> Option<&str> {
    let named = |name: &str| headers.get(name)?.to_str().ok().filter(|id| !id.is_empty() && id.len() <= 100);
    named("x-azure-functions-invocationid").or_else(|| named("x-ms-invocation-id"))
}
