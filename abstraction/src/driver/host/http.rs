//! Answers HTTP requests with a function.

use std::time::SystemTime;

use axum_core::response::IntoResponse;
use bytes::Bytes;
use futures_util::future::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tracing::{Instrument, Span};

use super::{streamed, within, wrong_reply};
use crate::function::Function;
use crate::{Body, Context, Error, Event, Reply, Result};

/// The header with the id of the invocation, in every answer over HTTP. A header of this name that the
/// app sets by itself is kept.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request with a function, whatever the function does. The body streams.
///
/// The call runs in a span with method, path, invocation id and trace id, and so does all that is logged
/// of it. It ends at the deadline of `cx`: the answer is 504 then, and a body that is not at its end
/// breaks off. An `Err` is the response of that [`Error`]. Every answer has the header [`REQUEST_ID`].
///
/// Each answer is also a line at the level `INFO`, of the target `isobar::request`.
pub async fn answer(function: &dyn Function, request: Request<Body>, cx: Context) -> Response<Body> {
    let span = request_span(&request, &cx);
    let (of, in_span) = (cx.clone(), span.clone());
    let stream = async |response: Response<Body>| Ok(response.map(|body| streamed::until_deadline(body, of, in_span)));
    respond(function, request, cx, span, stream).await
}

/// [`answer`], with a body that is whole before the deadline. A body that breaks off is an
/// error like any other, for which there is still time.
pub async fn answer_whole(function: &dyn Function, request: Request<Body>, cx: Context) -> Response<Bytes> {
    let collect = async |response: Response<Body>| {
        let (parts, body) = response.into_parts();
        let broken = |error| Error::internal("the response's body broke off").with_source(error);
        let bytes = streamed::whole(body, cx.clone()).collect().await.map_err(broken)?.to_bytes();
        Ok(Response::from_parts(parts, bytes.into()))
    };
    let span = request_span(&request, &cx);
    in_memory(respond(function, request, cx.clone(), span, collect).await)
}

/// The response to a request that no function is called with.
pub fn refuse(error: Error, cx: &Context) -> Response<Bytes> {
    let mut response = in_memory(error.into_response());
    identify(&mut response, cx);
    response
}

/// A response whose body is in memory, and cannot fail.
fn in_memory(response: Response<Body>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let body = body.collect().now_or_never().and_then(Result::ok);
    Response::from_parts(parts, body.map(|body| body.to_bytes()).unwrap_or_default())
}

fn request_span(request: &Request<Body>, cx: &Context) -> Span {
    tracing::info_span!(
        "http",
        provider = cx.provider(),
        invocation = cx.invocation_id(),
        trace = &*cx.trace_id(),
        operation = %request.method(),
        resource = request.uri().path(),
    )
}

async fn respond(
    function: &dyn Function,
    request: Request<Body>,
    cx: Context,
    span: Span,
    finish: impl AsyncFnOnce(Response<Body>) -> Result<Response<Body>>,
) -> Response<Body> {
    let line = Line::begin(&request, &cx);
    let call = async {
        match function.call(Event::Http(request), cx.clone()).await? {
            Reply::Http(response) => finish(response).await,
            _ => Err(wrong_reply()),
        }
    };
    let answered = async { within(&cx, call).await.unwrap_or_else(Error::into_response) };
    let mut response = answered.instrument(span).await;
    identify(&mut response, &cx);
    line.end(&response, &cx);
    response
}

fn identify<B>(response: &mut Response<B>, cx: &Context) {
    if let Ok(id) = HeaderValue::from_str(cx.invocation_id()) {
        response.headers_mut().entry(REQUEST_ID).or_insert(id);
    }
}

/// The line of an access log. It stands outside the span, whose fields it repeats: people read it, too.
struct Line(Option<(String, SystemTime)>);

impl Line {
    fn begin(request: &Request<Body>, cx: &Context) -> Self {
        let enabled = tracing::enabled!(target: "isobar::request", tracing::Level::INFO);
        Self(enabled.then(|| (format!("{} {}", request.method(), request.uri().path()), cx.now())))
    }

    fn end(self, response: &Response<Body>, cx: &Context) {
        let Some((request, started)) = self.0 else { return };
        let took = cx.now().duration_since(started).unwrap_or_default();
        let (status, invocation, trace) = (response.status().as_u16(), cx.invocation_id(), &*cx.trace_id());
        tracing::info!(target: "isobar::request", invocation, trace, "{request} {status} in {took:.1?}");
    }
}
