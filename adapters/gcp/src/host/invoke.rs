//! Schedules and direct calls.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use isobar_abstraction::clock;
use isobar_abstraction::{Body, Context, Error, ErrorKind, Event, Invocation, Outcome, Reply, Tick};

use super::http::wrong_reply;
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
        let due = told.map_or(now, |told| clock::known(told.unwrap_or(SystemTime::UNIX_EPOCH), now));
        let event = Event::Schedule(Tick::new(name, due));
        match self.within(&cx, self.app.function.call(event, cx.clone())).await {
            Ok(Reply::Handled(Outcome::Ack)) => Ok(answer::done()),
            Ok(Reply::Handled(Outcome::Retry { reason, .. } | Outcome::Reject { reason })) => {
                Err(failed(Error::internal(reason)))
            }
            Ok(_) => Err(failed(wrong_reply())),
            Err(error) => Err(failed(error)),
        }
    }

    /// The caller is told what became of it.
    pub(super) async fn invoke(&self, name: &str, body: Bytes, cx: Context) -> Response<Body> {
        let invocation = Event::Invoke(Invocation::new(name, body));
        let called = self.within(&cx, self.app.function.call(invocation, cx.clone())).await;
        match called {
            Ok(Reply::Invoke(told)) if told.is_empty() => answer::json_response(StatusCode::OK, "null"),
            Ok(Reply::Invoke(told)) => answer::json_response(StatusCode::OK, told),
            Ok(_) => self.told(&wrong_reply()),
            Err(error) => self.told(&error),
        }
    }

    fn told(&self, error: &Error) -> Response<Body> {
        tracing::error!(?error, "the direct call failed");
        let status = match error.kind() {
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        answer::json_response(status, answer::describe(error))
    }
}

/// Whatever it is, it is for the job to try again or not; but for a schedule that there is not.
fn failed(error: Error) -> Refused {
    let missing = error.kind() == ErrorKind::NotFound;
    let status = if missing { StatusCode::NOT_FOUND } else { StatusCode::INTERNAL_SERVER_ERROR };
    Refused { status, error }
}
