//! HTTP: every request is answered with a status, whatever the app does.

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
    /// A request that the host proxies, or forwards. Both bodies stream.
    pub(super) async fn http(&self, mut request: Request<Body>) -> Response<Body> {
        called::mask(&mut request, &self.settings);
        let cx = self.http_context(request.headers());
        host::answer(self.app.function.as_ref(), request, cx).await
    }

    /// A request that may be the host's, under a name with another secret than ours: after a new one was
    /// deployed by half, say. The host must not take an answer of the app's for that of a trigger, and
    /// drop what it had to deliver; everybody else is told what the app tells of unknown paths.
    pub(super) async fn forged(&self, request: Request<Body>) -> Response<Body> {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let function = request.uri().path().rsplit_once('-').map_or("", |(plain, _)| plain);
            let set = self.settings.secret.is_some();
            let why = if set { "it differs from the secret in the function's name" } else { "it is not set" };
            tracing::error!(
                function,
                "a call of a trigger is refused, and so are all like it: look at {ISOBAR_TRIGGER_SECRET}, {why}; \
                 or somebody outside tries to fire it"
            );
        }
        let response = self.http(request).await;
        let taken = response.status().is_success() || response.status().is_redirection();
        if !taken {
            return response;
        }
        let mut unknown = StatusCode::NOT_FOUND.into_response();
        unknown.headers_mut().extend(response.headers().get(REQUEST_ID).map(|id| (REQUEST_ID, id.clone())));
        unknown
    }

    /// A request that the host hands over as JSON, answered so. An answer that cannot be told in JSON is
    /// an error of the app's.
    pub(super) async fn json_http(&self, body: &[u8], parts: &request::Parts) -> Result<Response<Body>> {
        if !self.app.manifest.http() {
            return Err(self.unknown("http"));
        }
        let mut request = event::request(&Payload::read(body)?)?;
        called::mask(&mut request, &self.settings);
        // The host's own headers tell the invocation; those of its client are within.
        let mut headers = request.headers().clone();
        for name in ["x-azure-functions-invocationid", "x-ms-invocation-id"] {
            headers.remove(name);
            parts.headers.get(name).map(|value| headers.insert(name, value.clone()));
        }
        let cx = self.http_context(&headers);
        let (parts, body) = host::answer_whole(self.app.function.as_ref(), request, cx.clone()).await.into_parts();
        let told = output(&parts, &body);
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                let unfit = Error::internal("the app's answer does not fit into the host's JSON").with_source(error);
                let (parts, body) = host::refuse(unfit, &cx).into_parts();
                output(&parts, &body)?
            }
        };
        Ok(json_response(StatusCode::OK, told))
    }

    fn http_context(&self, headers: &HeaderMap) -> Context {
        // What every provider gives: an app that needs longer here cannot leave.
        let most: Duration = Limits::PORTABLE.http_timeout.min(self.settings.timeout().saturating_sub(HTTP_MARGIN));
        self.context(headers, most).with_function(Kind::Http.plain(""))
    }
}
