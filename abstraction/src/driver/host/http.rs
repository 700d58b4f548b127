//! HTTP requests to a function.

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

/// The header with the id of the invocation, in every response. If the app sets a header of this name, that one is sent.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Calls a function with a request and returns a response in every case. The body streams.
///
/// The call runs in a span with method, path, invocation id and trace id. It ends at the deadline of `cx` with a 504; a
/// body that has not ended then breaks off with an error, and the host must cut the connection. An `Err` of the function
/// becomes the [response](Error#impl-IntoResponse-for-Error) of the error. Every response has the header
/// [`REQUEST_ID`].
///
/// Each response is logged as one line at the level `INFO` with the target `isobar::request`.
pub async fn answer(function: &dyn Function, request: Request<Body>, cx: Context) -> Response<Body> {
    let span = request_span(&request, &cx);
    let (of, in_span) = (cx.clone(), span.clone());
    let stream = async |response: Response<Body>| Ok(response.map(|body| streamed::until_deadline(body, of, in_span)));
    respond(function, request, cx, span, stream).await
}

/// [`answer`] with a body that has been read completely before the deadline. A body that breaks off is a 500, because no
/// byte has been sent.
pub async fn answer_whole(function: &dyn Function, request: Request<Body>, cx: Context) -> Response<Bytes> {
    let collect = async |response: Response<Body>| {
        let (parts, body) = response.into_parts();
        let broken = |error| Error::internal("the body of the response broke off").with_source(error);
        let bytes = streamed::whole(body, cx.clone()).collect().await.map_err(broken)?.to_bytes();
        Ok(Response::from_parts(parts, bytes.into()))
    };
    let span = request_span(&request, &cx);
    in_memory(respond(function, request, cx.clone(), span, collect).await)
}

/// The response of an error, for a request that the host rejects before it calls a function.
pub fn refuse(error: Error, cx: &Context) -> Response<Bytes> {
    let mut response = in_memory(error.into_response());
    identify(&mut response, cx);
    response
}

/// A response whose body is in memory.
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

/// The line of the access log: request and start. It is logged outside of the span and repeats its fields, because people
/// read it without them.
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
