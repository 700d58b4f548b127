//! Schedules and direct calls.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::driver::host;
use isobar_abstraction::{Body, Context, ErrorKind, Event, Invocation, Outcome, Tick, clock};
use isobar_serve::{error_status, json_response};

use super::{CloudRunService, response};
use crate::event::Rejection;

/// The header with the due time of a job. <https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget>
const DUE: &str = "x-cloudscheduler-scheduletime";

impl CloudRunService {
    /// Handles a tick. A failure is answered with 500, so that the job counts it; the settings of the job decide
    /// whether it is retried. Without a valid time the tick is due now.
    pub(super) async fn tick(&self, name: &str, headers: &HeaderMap, cx: Context) -> Result<Response<Body>, Rejection> {
        let scheduled = headers.get(DUE).map(|value| clock::parse(&String::from_utf8_lossy(value.as_bytes())));
        let now = self.state.clock.now();
        let due = scheduled.map_or(now, |time| clock::sent_at(time.unwrap_or(SystemTime::UNIX_EPOCH), now));
        let event = Event::Schedule(Tick::new(name, due));
        let handled = host::handle(self.app.function.as_ref(), event, cx).await.and_then(Outcome::into_result);
        // The job may retry any failure except that of a missing schedule.
        handled.map(|()| response::settled()).map_err(|error| {
            let missing = error.kind() == ErrorKind::NotFound;
            let status = if missing { StatusCode::NOT_FOUND } else { StatusCode::INTERNAL_SERVER_ERROR };
            Rejection { status, error }
        })
    }

    /// Handles a direct call and returns its result to the caller.
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
