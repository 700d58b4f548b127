//! HTTP: every request is answered with a status, whatever the app does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request};
use http_body_util::BodyExt;
use isobar_abstraction::{Body, Context, Error, ErrorKind, Event, Limits, Reply, Result};

use super::{CustomHandler, HTTP_MARGIN, ISOBAR_TRIGGER_SECRET, Kind, answer, stream};
use crate::event::{self, Output, Payload};

impl CustomHandler {
    /// A request that the host proxies, or forwards. Both bodies stream.
    pub(super) async fn http(&self, request: Request<Body>) -> Response<Body> {
        let cx = self.http_context(request.headers());
        let response = self.respond(request, &cx).await;
        stream::until_deadline(response, &cx, &self.state.clock)
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
        if taken { StatusCode::NOT_FOUND.into_response() } else { response }
    }

    /// A request that the host hands over as JSON, answered so. An answer that cannot be told in JSON is
    /// an error of the app's.
    pub(super) async fn json_http(&self, body: &[u8], parts: &request::Parts) -> Result<Response<Body>> {
        if !self.app.manifest.http {
            return Err(self.unknown("http"));
        }
        let request = event::request(&Payload::read(body)?)?;
        // The host's own headers tell the invocation; those of its client are within.
        let mut headers = request.headers().clone();
        for name in ["x-azure-functions-invocationid", "x-ms-invocation-id"] {
            headers.remove(name);
            parts.headers.get(name).map(|value| headers.insert(name, value.clone()));
        }
        let cx = self.http_context(&headers);
        let response = self.respond(request, &cx).await;
        let whole = self.within(&cx, collected(response)).await;
        let (parts, body) = whole.unwrap_or_else(whole_error).into_parts();
        let told = Output::new(&parts, &body).and_then(|output| output.answer());
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                let (parts, body) = whole_error(error).into_parts();
                Output::new(&parts, &body)?.answer()?
            }
        };
        Ok(answer::json_response(StatusCode::OK, told))
    }

    fn http_context(&self, headers: &HeaderMap) -> Context {
        // What every provider gives: an app that needs longer here cannot leave.
        let most: Duration = Limits::PORTABLE.http_timeout.min(self.settings.timeout().saturating_sub(HTTP_MARGIN));
        self.context(headers, most).with_function(Kind::Http.plain(""))
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

async fn collected(response: Response<Body>) -> Result<Response<Bytes>> {
    let (parts, body) = response.into_parts();
    let broken = |error| Error::internal("the response's body broke off").with_source(error);
    Ok(Response::from_parts(parts, body.collect().await.map_err(broken)?.to_bytes()))
}

/// An error as a response that is whole.
fn whole_error(error: Error) -> Response<Bytes> {
    let status = error.into_response().status();
    let body = Bytes::from_static(b"the log of the app has the details");
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Of a function that answered another kind of event than it was given.
pub(super) fn wrong_reply() -> Error {
    Error::internal("the function gave a reply to another kind of event")
}
