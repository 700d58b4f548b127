//! The host: a Cloud Run service, which also follows the contract of the functions framework.
//!
//! # Requests
//!
//! | request | meaning |
//! |---|---|
//! | `POST /.isobar/topics/<topic>` | a push of Pub/Sub, or its event from Eventarc, for the subscription `default` |
//! | `POST /.isobar/topics/<topic>/<subscription>` | the same for another subscription |
//! | `POST /.isobar/buckets/<bucket>`, `…/<bucket>/<events>` | a notification of Cloud Storage through Pub/Sub, or its event from Eventarc |
//! | `POST /.isobar/writes/<table>` | an event of Firestore from Eventarc, or a push of the key of a write |
//! | `POST /.isobar/schedules/<name>` | a job of Cloud Scheduler |
//! | `POST /.isobar/functions/<name>` | a direct call |
//! | others | an HTTP request for the app |
//!
//! Requests below `/.isobar/` never reach the app's routes, so no route can shadow a trigger.
//! With `FUNCTION_SIGNATURE_TYPE=event` or `cloudevent` every `POST` is an event for the trigger that
//! `FUNCTION_TARGET` names, and with `typed` a direct call of that function, whatever its path.
//!
//! **Only Google calls triggers.** A service that answers HTTP is open to the internet, so each call of a trigger must
//! carry an OIDC token of Google for one of the service accounts in
//! [`ISOBAR_EVENT_SERVICE_ACCOUNT`](crate::ISOBAR_EVENT_SERVICE_ACCOUNT) and an audience in
//! [`ISOBAR_EVENT_AUDIENCE`](crate::ISOBAR_EVENT_AUDIENCE); see [`token`]. Without both settings all calls of triggers
//! are rejected.
//!
//! **Statuses.** 204: the event is settled. 401 and 403: the caller may not call. 503: tokens cannot be verified yet.
//! 400, 404, 413 and 415: the event can never be handled. 500: deliver it again. Pub/Sub redelivers after any status
//! but a success, until the dead-letter policy of the subscription applies.

mod http;
mod invoke;
mod keys;
mod message;
mod object;
mod response;
mod server;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod token;
mod write;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use isobar_abstraction::driver::host::excerpt;
use isobar_abstraction::driver::{Hosted, Limits};
use isobar_abstraction::{Body, Context, Error};
use isobar_serve::read_body;
use tracing::Instrument;

use crate::State;
use crate::config::Settings;
use crate::event::Rejection;
use crate::profile::PROFILE;
use keys::Keys;
use target::CallTarget;

pub(crate) use message::MAX_BACKOFF;
pub(crate) use server::run;
pub(crate) use target::{Kind, check_names, path_of};

/// Handles requests with an app. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CloudRunService {
    state: Arc<State>,
    app: Hosted,
    keys: Arc<Keys>,
}

impl CloudRunService {
    pub(crate) fn new(state: Arc<State>, app: Hosted) -> Self {
        let keys = Arc::new(Keys::new(&state));
        Self { state, app, keys }
    }

    /// Handles one request. Always returns a response, also if the app panics; the server catches panics of the host.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let target = match CallTarget::of(&request, self.settings()) {
            CallTarget::Http => return self.http(request).await,
            CallTarget::Trigger(target) => target.map(|(kind, name)| (kind, name.to_owned())),
        };
        let span = tracing::info_span!("event", path = request.uri().path());
        let result = self.trigger(target, request).instrument(span).await;
        result.unwrap_or_else(|rejection| response::rejected(&rejection))
    }

    /// Handles a call of a trigger. An unauthorized caller learns neither which triggers exist, nor whether its request
    /// is valid: the body is not read.
    async fn trigger(
        &self,
        target: Option<(Option<Kind>, String)>,
        request: Request<Body>,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let (parts, body) = request.into_parts();
        self.authenticate(&parts).await?;
        if parts.method != Method::POST {
            let error = Error::invalid_input("triggers are called by POST");
            return Err(Rejection { status: StatusCode::METHOD_NOT_ALLOWED, error });
        }
        let body = read_body(body, PROFILE.limits.request_bytes).await?;
        let found = target.and_then(|(kind, name)| Some((self.kind(kind, &name)?, name)));
        let (kind, name) = found.ok_or_else(|| self.unknown(parts.uri.path()))?;
        // The timeout of every provider, as for HTTP.
        let cx = self.context(&parts.headers, Limits::PORTABLE.event_timeout);
        match kind {
            Kind::Queue(_) => match kind.queue(&name, &self.app.manifest) {
                Some(trigger) => self.event(&trigger, &parts.headers, &body, cx).await,
                None => Err(self.unknown(parts.uri.path())),
            },
            Kind::Schedule => self.tick(&name, &parts.headers, cx).await,
            Kind::Invoke => Ok(self.invoke(&name, body, cx).await),
        }
    }

    /// The kind of the target, if the app has such a trigger. For schedules and functions the app itself checks the
    /// name.
    fn kind(&self, kind: Option<Kind>, name: &str) -> Option<Kind> {
        if let Some(Kind::Schedule | Kind::Invoke) = kind {
            return kind;
        }
        let mut kinds = kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]).into_iter();
        kinds.find(|kind| kind.is_of(name, &self.app.manifest))
    }

    /// The rejection of an unknown path, which lists the existing ones.
    fn unknown(&self, path: &str) -> Rejection {
        let path = excerpt(path);
        let names = target::paths(&self.app.manifest).join(", ");
        let names = if names.is_empty() { "none".to_owned() } else { names };
        let app = &self.app.manifest.app;
        let target = match &self.settings().target {
            Some(target) => format!("`{path}`, for FUNCTION_TARGET `{}`", target.escape_debug()),
            None => format!("`{path}`"),
        };
        Error::not_found(format!("app `{app}` has no trigger at {target}; it has {names}")).into()
    }

    fn settings(&self) -> &Settings {
        &self.state.config.run
    }

    /// The context of an invocation with this timeout.
    fn context(&self, headers: &HeaderMap, timeout: Duration) -> Context {
        let cx = Context::new(PROFILE.provider, Arc::clone(&self.state.clock));
        let cx = cx.with_timeout(timeout).with_trace_of(headers);
        match &self.settings().service {
            Some(service) => cx.with_function(service.as_str()),
            None => cx,
        }
    }
}
