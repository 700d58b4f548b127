//! HTTP: every request is answered with a status, whatever the app does.

use axum_core::response::IntoResponse;
use http::{Request, Response, StatusCode};
use isobar_abstraction::{Body, Context, Error, ErrorKind, Event, Limits, Reply};

use super::{CloudRunService, stream};

impl CloudRunService {
    /// A request of a user. Both bodies stream.
    pub(super) async fn http(&self, request: Request<Body>) -> Response<Body> {
        // What every provider gives: an app that needs longer here cannot leave.
        let cx = self.context(request.headers(), Limits::PORTABLE.http_timeout);
        let response = self.respond(request, &cx).await;
        stream::until_deadline(response, &cx, &self.state.clock)
    }

    async fn respond(&self, request: Request<Body>, cx: &Context) -> Response<Body> {
        let call = self.app.function.call(Event::Http(request), cx.clone());
        match self.within(cx, call).await {
            Ok(Reply::Http(response)) => response,
            Ok(_) => wrong_reply().into_response(),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                (StatusCode::NOT_FOUND, error.message().to_owned()).into_response()
            }
            Err(error) => error.into_response(),
        }
    }
}

pub(super) fn wrong_reply() -> Error {
    Error::internal("the function gave a reply to another kind of event")
}
