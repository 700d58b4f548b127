//! Schedules and direct calls.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::driver::host;
use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::{Body, Context, Error, Event, Invocation, Result, Tick};
use isobar_serve::{json_response, status_of};

use super::{CustomHandler, answer};
use crate::event::{self, Payload, output};

impl CustomHandler {
    /// A tick that fails is a failed invocation, so that the platform counts it; whether it is tried
    /// again is a setting of the function.
    pub(super) async fn tick(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let payload = Payload::read(body)?;
        let cx = cx.with_attempt(payload.attempt());
        let tick = Event::Schedule(Tick::new(name, event::due(&payload, self.state.clock.now())));
        host::handle(self.app.function.as_ref(), tick, cx).await?.into_result()?;
        Ok(answer::done())
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
                .map_err(|error| Error::invalid_input("the request broke off").with_source(error))?
                .to_bytes(),
            false => Bytes::from(event::text(payload.only()?).into_owned()),
        };
        let called = host::invoke(self.app.function.as_ref(), Invocation::new(name, input), cx).await;
        let (status, told) = match called {
            Ok(told) => (StatusCode::OK, told),
            Err(error) if over_http => {
                tracing::error!(?error, "the direct call failed");
                (status_of(&error), host::describe(&error).into())
            }
            Err(error) => return Err(error),
        };
        let (parts, _) = json_response(status, Body::empty()).into_parts();
        Ok(json_response(StatusCode::OK, output(&parts, &told)?))
    }
}
