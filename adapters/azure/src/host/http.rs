//! HTTP: every request gets a response, whatever the app does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::response::IntoResponse;
use http::{HeaderMap, Request, Response, StatusCode, request};
use isobar_abstraction::driver::host::REQUEST_ID;
use isobar_abstraction::driver::{Limits, host};
use isobar_abstraction::{Body, Context, Error, Result};
use isobar_serve::json_response;

use super::{CustomHandler, HTTP_MARGIN, Kind, called};
use crate::ISOBAR_TRIGGER_SECRET;
use crate::event::{self, Payload, output};

impl CustomHandler {
    /// Handles a request that the host proxies or forwards. Both bodies stream.
    pub(super) async fn http(&self, mut request: Request<Body>) -> Response<Body> {
        called::mask(&mut request, &self.settings);
        let cx = self.http_context(request.headers());
        host::answer(self.app.function.as_ref(), request, cx).await
    }

    /// Handles a request for a function with a wrong secret. It may be from the host, for example while a new secret is
    /// only partly deployed: the host must not take a success of the app for that of the trigger, and drop the event.
    /// Other clients get the app's response for an unknown path.
    pub(super) async fn forged(&self, request: Request<Body>) -> Response<Body> {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let function = request.uri().path().rsplit_once('-').map_or("", |(plain, _)| plain);
            let set = self.settings.secret.is_some();
            let why = if set { "it differs from the secret in the function's name" } else { "it is not set" };
            tracing::error!(
                function,
                "calls of a trigger with a wrong secret are rejected: check {ISOBAR_TRIGGER_SECRET}, {why}; \
                 or an outside client tries to fire the trigger"
            );
        }
        let response = self.http(request).await;
        let accepted = response.status().is_success() || response.status().is_redirection();
        if !accepted {
            return response;
        }
        let mut unknown = StatusCode::NOT_FOUND.into_response();
        unknown.headers_mut().extend(response.headers().get(REQUEST_ID).map(|id| (REQUEST_ID, id.clone())));
        unknown
    }

    /// Handles a request that the host passes as JSON, and returns the response as JSON. A response that JSON cannot
    /// contain becomes the response of an error.
    pub(super) async fn json_http(&self, body: &[u8], parts: &request::Parts) -> Result<Response<Body>> {
        if !self.app.manifest.http() {
            return Err(self.unknown("http"));
        }
        let mut request = event::request(&Payload::read(body)?)?;
        called::mask(&mut request, &self.settings);
        // The invocation id is in the host's own headers; the client's headers are inside the body.
        let mut headers = request.headers().clone();
        for name in ["x-azure-functions-invocationid", "x-ms-invocation-id"] {
            headers.remove(name);
            parts.headers.get(name).map(|value| headers.insert(name, value.clone()));
        }
        let cx = self.http_context(&headers);
        let (parts, body) = host::answer_whole(self.app.function.as_ref(), request, cx.clone()).await.into_parts();
        let output_json = match output(&parts, &body) {
            Ok(json) => json,
            Err(error) => {
                let unfit = Error::internal("the app's response does not fit into the host's JSON").with_source(error);
                let (parts, body) = host::refuse(unfit, &cx).into_parts();
                output(&parts, &body)?
            }
        };
        Ok(json_response(StatusCode::OK, output_json))
    }

    fn http_context(&self, headers: &HeaderMap) -> Context {
        // The portable limit: an app that needs more time would not run on other providers.
        let timeout: Duration = Limits::PORTABLE.http_timeout.min(self.settings.timeout().saturating_sub(HTTP_MARGIN));
        self.context(headers, timeout).with_function(Kind::Http.plain(""))
    }
}
