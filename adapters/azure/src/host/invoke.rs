//! Schedules and direct calls.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::{Body, Context, Error, Event, Invocation, Outcome, Reply, Result, Tick};

use super::http::wrong_reply;
use super::{CustomHandler, answer};
use crate::event::{self, Fields, Output, Payload};

impl CustomHandler {
    /// A tick that fails is a failed invocation, so that the platform counts it; whether it is tried
    /// again is a setting of the function.
    pub(super) async fn tick(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let payload = Payload::read(body)?;
        let cx = cx.with_attempt(payload.attempt());
        let tick = Tick::new(name, event::due(&payload, self.state.clock.now()));
        match self.within(&cx, self.app.function.call(Event::Schedule(tick), cx.clone())).await? {
            Reply::Handled(Outcome::Ack) => Ok(answer::done()),
            Reply::Handled(Outcome::Retry { reason, .. } | Outcome::Reject { reason }) => Err(Error::internal(reason)),
            _ => Err(wrong_reply()),
        }
    }

    /// A direct call: over HTTP, whose request is the trigger's value, or by hand
    /// (`POST /admin/functions/{name}`), whose input is. The caller over HTTP is told what became of it;
    /// the platform that it failed, either way.
    pub(super) async fn invoke(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let payload = Payload::read(body)?;
        let over_http = Fields::of(payload.only()?).is_some_and(|told| told.has("Method") && told.has("Url"));
        let input = match over_http {
            true => http_body_util::BodyExt::collect(event::request(&payload)?.into_body())
                .await
                .map_err(|error| Error::invalid("the request broke off").with_source(error))?
                .to_bytes(),
            false => Bytes::from(event::text(payload.only()?).into_owned()),
        };
        let invocation = Event::Invoke(Invocation::new(name, input));
        let called = self.within(&cx, self.app.function.call(invocation, cx.clone())).await;
        let called = called.and_then(|reply| match reply {
            Reply::Invoke(answer) if answer.is_empty() => Ok(Bytes::from_static(b"null")),
            Reply::Invoke(answer) => Ok(answer),
            _ => Err(wrong_reply()),
        });
        let (status, told) = match called {
            Ok(told) => (StatusCode::OK, told),
            Err(error) if over_http => {
                tracing::error!(?error, "the direct call failed");
                (answer::status(&error), answer::describe(&error).into())
            }
            Err(error) => return Err(error),
        };
        let (parts, _) = answer::json_response(status, Body::empty()).into_parts();
        Ok(answer::json_response(StatusCode::OK, Output::new(&parts, &told)?.answer()?))
    }
}
