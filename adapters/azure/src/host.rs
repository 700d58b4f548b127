//! The host: a Functions custom handler.
//!
//! # What comes in
//!
//! | request | what it is |
//! |---|---|
//! | `GET /` that bears nothing but what a bare HTTP client writes | the Functions host, asking whether we live |
//! | `POST /<kind>-<name>-<secret>` | the Functions host, calling a trigger |
//! | all else | a request of a user, for the app |
//!
//! **Nobody outside fires a trigger.** Where HTTP is proxied, a user's `POST /topic-clicks-…` comes to the
//! same port as the host's own call, with whatever headers the user likes. So the names of functions end
//! in a secret, which the app setting [`ISOBAR_TRIGGER_SECRET`](crate::ISOBAR_TRIGGER_SECRET) tells, and nothing else is looked at; while it
//! is replaced, [`ISOBAR_TRIGGER_SECRET_OLD`](crate::ISOBAR_TRIGGER_SECRET_OLD) tells the one before. A call with a wrong one is a user's request like any other: it gets the answer that the app has for a
//! path that it does not know.
//!
//! **No log line of ours has a secret.** Where the path of a user's request has the form of a function's name, the app
//! and its log get `***` for the secret: it may be valid, or the secret of another deployment.
//!
//! **The probe.** The host asks `GET /` until it is answered, and from time to time after that
//! (`SendPingRequestAsync` in its `DefaultHttpWorkerService.cs`), by a client without any header of its own:
//! no user agent, no invocation id, `Host: 127.0.0.1:PORT`. A user's `GET /` always has more: the host
//! itself adds `x-ms-invocation-id` where it proxies (`DefaultHttpProxyService.cs`) and
//! `X-Azure-Functions-InvocationId` where it forwards. So a user's reaches the app, and a probe never does,
//! at any time.

mod answer;
mod called;
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
use isobar_serve::read_whole;
use tracing::Instrument;

use crate::State;
use crate::config::FunctionsHost;
use crate::profile::PROFILE;
use called::Called;

pub(crate) use called::Kind;
pub(crate) use names::check_names;
pub(crate) use object::events_of;
pub(crate) use server::run;

/// The app's work ends so long before the function's timeout: what is late kills the process, with all
/// that runs in it, and what became of a message is still to be told.
const MARGIN: Duration = Duration::from_secs(5);

/// What a response over HTTP has at its end.
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

    /// Answers one request, whatever it is and whatever the app does. A panic of the host itself is the server's to catch.
    ///
    /// To a trigger 200 says that it is done with, and any other status that it is not, so that the
    /// platform counts the failure and tries again: 400 for a call that cannot be read, 404 for a
    /// function that there is not, 413 for a call of more than 100 MB, 500 for all else.
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
                self.trigger(&name, request).await.unwrap_or_else(|error| answer::refused(&error))
            }
            Called::Forged => self.forged(request).await,
            Called::Http => self.http(request).await,
        }
    }

    /// A call of the host, by a name that bears the secret.
    async fn trigger(&self, name: &str, request: Request<Body>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let (kind, name) = Kind::split(name).ok_or_else(|| self.unknown(name))?;
        let body = read_whole(body, PROFILE.limits.request_bytes).await?;
        let most = self.settings.timeout().saturating_sub(MARGIN).saturating_sub(self.to_hold(kind));
        let cx = self.context(&parts.headers, most).with_function(kind.plain(name));
        match kind {
            Kind::Topic | Kind::Fifo => self.message(kind, name, &body, cx).await,
            Kind::Bucket => self.object(name, &body, cx).await,
            Kind::Schedule => self.tick(name, &body, cx).await,
            Kind::Invoke => self.invoke(name, &body, cx).await,
            Kind::Http => self.json_http(&body, &parts).await,
        }
    }

    /// Names what there is, without the secret. Only who knows that is told.
    fn unknown(&self, name: &str) -> Error {
        let (app, name) = (&self.app.manifest.app, excerpt(&called::masked(name, &self.settings)));
        let names = called::names(&self.app.manifest).join(", ");
        let names = if names.is_empty() { "none".to_owned() } else { names };
        let message = format!("app `{app}` has no function `{name}`; it has {names}, each with -<secret> at its end");
        Error::not_found(message)
    }

    /// The part of the function's timeout that a handler of ordered messages does not get: so long may the answer to
    /// one of them be held back that is to be tried again later. Of a short timeout nothing is taken.
    fn to_hold(&self, kind: Kind) -> Duration {
        let longest = PROFILE.limits.ordered_retry_after;
        if kind == Kind::Fifo && self.settings.timeout() >= longest * 2 { longest } else { Duration::ZERO }
    }

    /// The context of an invocation that may take so long.
    fn context(&self, headers: &HeaderMap, most: Duration) -> Context {
        let cx = Context::new(PROFILE.provider, Arc::clone(&self.state.clock));
        let cx = cx.with_timeout(most).with_trace_of(headers);
        match invocation_id(headers) {
            Some(id) => cx.with_invocation_id(id),
            None => cx,
        }
    }
}

/// The id that the host gave an invocation: of a call or a forwarded request, or of a proxied one.
fn invocation_id(headers: &HeaderMap) -> Option<&str> {
    let named = |name: &str| headers.get(name)?.to_str().ok().filter(|id| !id.is_empty() && id.len() <= 100);
    named("x-azure-functions-invocationid").or_else(|| named("x-ms-invocation-id"))
}
