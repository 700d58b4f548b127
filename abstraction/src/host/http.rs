//! Answers HTTP requests with a function.

use std::panic::AssertUnwindSafe;
use std::time::SystemTime;

use axum_core::response::IntoResponse;
use bytes::Bytes;
use futures_util::future::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tracing::{Instrument, Span};

use super::{streamed, within, wrong_reply};
use crate::app::panic_text;
use crate::{Body, Context, Error, Event, Function, Reply, Result};

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
        let (stated, broken) = (http_body::Body::size_hint(&body).exact(), "the response's body broke off");
        let collected = AssertUnwindSafe(body.collect()).catch_unwind().await;
        let collected = collected.map_err(|panic| Error::internal(panic_text(panic.as_ref())))?;
        let bytes = collected.map_err(|error| Error::internal(broken).with_source(error))?.to_bytes();
        if stated.is_some_and(|stated| stated != bytes.len() as u64) {
            return Err(Error::internal(format!("the response body has {} bytes, and stated {stated:?}", bytes.len())));
        }
        Ok(Response::from_parts(parts, bytes.into()))
    };
    let span = request_span(&request, &cx);
    let (parts, body) = respond(function, request, cx, span, collect).await.into_parts();
    // It is in memory, and cannot fail.
    Response::from_parts(parts, body.collect().await.map(|body| body.to_bytes()).unwrap_or_default())
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

/// Gives a response that no function made the header [`REQUEST_ID`].
pub fn identify<B>(response: &mut Response<B>, cx: &Context) {
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
