//! Schedules and direct calls.

use bytes::Bytes;
use http::{Response, StatusCode};
use isobar_abstraction::driver::host;
use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::{Body, Context, Error, Event, Invocation, Result, Tick};
use isobar_serve::{error_status, json_response};

use super::{CustomHandler, answer};
use crate::event::{self, Payload, output};

impl CustomHandler {
    /// Handles a tick. A failure is reported as a failed invocation; whether it is retried is a setting of the function.
    pub(super) async fn tick(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let payload = Payload::read(body)?;
        let cx = cx.with_attempt(payload.attempt());
        let tick = Event::Schedule(Tick::new(name, event::due(&payload, self.state.clock.now())));
        host::handle(self.app.function.as_ref(), tick, cx).await?.into_result()?;
        Ok(answer::done())
    }

    /// Handles a direct call: over HTTP, where the trigger's value is the request, or by hand
    /// (`POST /admin/functions/{name}`), where it is the input. A caller over HTTP gets the result or the error as its
    /// response; an error by hand fails the invocation.
    pub(super) async fn invoke(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let payload = Payload::read(body)?;
        let over_http = Fields::of(payload.only()?).is_some_and(|fields| fields.has("Method") && fields.has("Url"));
        let input = match over_http {
            true => http_body_util::BodyExt::collect(event::request(&payload)?.into_body())
                .await
                .map_err(|error| Error::invalid_input("the request broke off").with_source(error))?
                .to_bytes(),
            false => Bytes::from(event::text(payload.only()?).into_owned()),
        };
        let result = host::invoke(self.app.function.as_ref(), Invocation::new(name, input), cx).await;
        let (status, body) = match result {
            Ok(value) => (StatusCode::OK, value),
            Err(error) if over_http => {
                tracing::error!(?error, "the direct call failed");
                (error_status(&error), host::describe(&error).into())
            }
            Err(error) => return Err(error),
        };
        let (parts, _) = json_response(status, Body::empty()).into_parts();
        Ok(json_response(StatusCode::OK, output(&parts, &body)?))
    }
}
