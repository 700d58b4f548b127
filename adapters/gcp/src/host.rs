//! The host: a Cloud Run service, which is also a function of the functions framework's contract.
//!
//! # What comes in
//!
//! | request | what it is |
//! |---|---|
//! | `POST /.isobar/topics/<topic>` | a push of Pub/Sub, or its event from Eventarc |
//! | `POST /.isobar/buckets/<bucket>` | a notification of Cloud Storage through Pub/Sub, or its event from Eventarc |
//! | `POST /.isobar/schedules/<name>` | Cloud Scheduler |
//! | `POST /.isobar/functions/<name>` | a direct call |
//! | all else | a request of a user, for the app |
//!
//! What begins with `/.isobar/` never reaches an app, so no route of an app's can be taken for one of these.
//! With `FUNCTION_SIGNATURE_TYPE=event` or `cloudevent` every `POST` is an event for the trigger that
//! `FUNCTION_TARGET` names, and with `typed` a direct call of that function, whatever its path.
//!
//! **Nobody but Google fires a trigger.** A service that answers HTTP is open to everybody, so each call
//! of a trigger is to show an OIDC token of Google's for one of the service accounts in
//! [`ISOBAR_EVENT_SERVICE_ACCOUNT`](crate::ISOBAR_EVENT_SERVICE_ACCOUNT) and an audience in [`ISOBAR_EVENT_AUDIENCE`](crate::ISOBAR_EVENT_AUDIENCE); see [`token`]. Without both
//! settings all calls of triggers are refused.
//!
//! **What the answer says.** 204 is that an event is done with; 401 and 403 that its caller may not call, 503 that this cannot be told yet;
//! 400, 404, 413 and 415 that it will never be taken; 500 that it is to come again. Pub/Sub delivers
//! again whatever is not a success, and gives up by the dead-letter policy of its subscription.

mod answer;
mod called;
mod http;
mod invoke;
mod keys;
mod message;
mod object;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod token;

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
use crate::event::Refused;
use crate::profile::PROFILE;
use called::Called;
use keys::Keys;

pub(crate) use called::{Kind, check_names, events_of};
pub(crate) use server::run;

/// Answers requests with an app. Cheap to clone.
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

    /// Answers one request, whatever it is and whatever the app does. A panic of the host itself is the server's to catch.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let called = match Called::of(&request, self.settings()) {
            Called::Http => return self.http(request).await,
            Called::Trigger(called) => called.map(|(kind, name)| (kind, name.to_owned())),
        };
        let span = tracing::info_span!("event", path = request.uri().path());
        let answered = self.trigger(called, request).instrument(span).await;
        answered.unwrap_or_else(|refused| answer::refused(&refused))
    }

    /// A call of a trigger. Who may not call learns nothing: neither what there is, nor what is wrong with
    /// what was sent, which is not even read.
    async fn trigger(
        &self,
        called: Option<(Option<Kind>, String)>,
        request: Request<Body>,
    ) -> std::result::Result<Response<Body>, Refused> {
        let (parts, body) = request.into_parts();
        self.authenticate(&parts).await?;
        if parts.method != Method::POST {
            let error = Error::invalid_input("triggers are called by POST");
            return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, error });
        }
        let body = read_body(body, PROFILE.limits.request_bytes).await?;
        let found = called.and_then(|(kind, name)| Some((self.kind(kind, &name)?, name)));
        let (kind, name) = found.ok_or_else(|| self.unknown(parts.uri.path()))?;
        // What every provider gives, as for HTTP.
        let cx = self.context(&parts.headers, Limits::PORTABLE.event_timeout);
        match kind {
            Kind::Topic => self.message(&name, &parts.headers, &body, cx).await,
            Kind::Bucket => self.object(&name, &parts.headers, &body, cx).await,
            Kind::Schedule => self.tick(&name, &parts.headers, cx).await,
            Kind::Invoke => Ok(self.invoke(&name, body, cx).await),
        }
    }

    /// The kind of what is called, if the app has it. Of schedules and functions the app itself says what it has.
    fn kind(&self, kind: Option<Kind>, name: &str) -> Option<Kind> {
        if let Some(Kind::Schedule | Kind::Invoke) = kind {
            return kind;
        }
        let mut kinds = kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]).into_iter();
        kinds.find(|kind| kind.is_of(name, &self.app.manifest))
    }

    /// Names what there is.
    fn unknown(&self, path: &str) -> Refused {
        let path = excerpt(path);
        let names = called::paths(&self.app.manifest).join(", ");
        let names = if names.is_empty() { "none".to_owned() } else { names };
        let app = &self.app.manifest.app;
        let called = match &self.settings().target {
            Some(target) => format!("`{path}`, for FUNCTION_TARGET `{}`", target.escape_debug()),
            None => format!("`{path}`"),
        };
        Error::not_found(format!("app `{app}` has no trigger at {called}; it has {names}")).into()
    }

    fn settings(&self) -> &Settings {
        &self.state.config.run
    }

    /// The context of an invocation that may take so long.
    fn context(&self, headers: &HeaderMap, most: Duration) -> Context {
        let cx = Context::new(PROFILE.provider, Arc::clone(&self.state.clock));
        let cx = cx.with_timeout(most).with_trace_of(headers);
        match &self.settings().service {
            Some(service) => cx.with_function(service.as_str()),
            None => cx,
        }
    }
}
