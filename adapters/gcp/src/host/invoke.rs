//! Schedules and direct calls.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::host;
use isobar_abstraction::{Body, Context, ErrorKind, Event, Invocation, Outcome, Tick, clock};
use isobar_serve::{error_status, json_response};

use super::{CloudRunService, answer};
use crate::event::Refused;

/// When the job was due. <https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget>
const DUE: &str = "x-cloudscheduler-scheduletime";

impl CloudRunService {
    /// A tick that fails is answered with 500, so that the job counts it; whether it is tried again is a
    /// setting of the job. A time that is no time is a tick of now.
    pub(super) async fn tick(&self, name: &str, headers: &HeaderMap, cx: Context) -> Result<Response<Body>, Refused> {
        let told = headers.get(DUE).map(|value| clock::parse(&String::from_utf8_lossy(value.as_bytes())));
        let now = self.state.clock.now();
        let due = told.map_or(now, |told| clock::sent_at(told.unwrap_or(SystemTime::UNIX_EPOCH), now));
        let event = Event::Schedule(Tick::new(name, due));
        let handled = host::handle(self.app.function.as_ref(), event, cx).await.and_then(Outcome::into_result);
        // Whatever it is, it is for the job to try again or not; but for a schedule that there is not.
        handled.map(|()| answer::done()).map_err(|error| {
            let missing = error.kind() == ErrorKind::NotFound;
            let status = if missing { StatusCode::NOT_FOUND } else { StatusCode::INTERNAL_SERVER_ERROR };
            Refused { status, error }
        })
    }

    /// The caller is told what became of it.
    pub(super) async fn invoke(&self, name: &str, body: Bytes, cx: Context) -> Response<Body> {
        match host::invoke(self.app.function.as_ref(), Invocation::new(name, body), cx).await {
            Ok(answer) => json_response(StatusCode::OK, answer),
            Err(error) => {
                tracing::error!(?error, "the direct call failed");
                json_response(error_status(&error), host::describe(&error))
            }
        }
    }
}
