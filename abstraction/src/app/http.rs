//! The HTTP side of an app: any tower service, its body limits, and what an error looks like.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use axum_core::extract::DefaultBodyLimit;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Limited;
use tower_service::Service;

use crate::{Body, BoxError, Error, ErrorKind, Limits};

/// A tower service of HTTP requests without its types. It exists so that [`App`](super::App) can
/// hold one; nobody implements it by hand.
pub trait HttpService: Send + Sync {
    /// Answers one request.
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Response>;
}

struct Erased<S>(S);

pub(super) fn erase<S, B>(service: S) -> Box<dyn HttpService>
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Box::new(Erased(service))
}

impl<S, B> HttpService for Erased<S>
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn call(&self, request: Request<Body>) -> BoxFuture<'static, Response> {
        let mut service = self.0.clone();
        Box::pin(async move {
            let ready = std::future::poll_fn(|task| service.poll_ready(task)).await;
            if let Err(error) = ready.map_err(super::into_error) {
                return error.into_response();
            }
            match service.call(request).await.map_err(super::into_error) {
                Ok(response) => response.map(Body::new),
                Err(error) => error.into_response(),
            }
        })
    }
}

/// Holds a request to the limit: refuses at once where its length is told, else while it is read.
pub(super) fn limit_request(mut request: Request<Body>, limits: &Limits) -> Result<Request<Body>, Error> {
    let limit = limits.request_bytes;
    let told = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(size) = told.filter(|size| *size > limit) {
        return Err(Error::too_large("the request body", size, limit));
    }
    // axum's extractors stop at 2 MB unless the request says otherwise.
    DefaultBodyLimit::max(usize::try_from(limit).unwrap_or(usize::MAX)).apply(&mut request);
    if told.is_some() || http_body::Body::is_end_stream(request.body()) {
        return Ok(request);
    }
    Ok(request.map(|body| Body::new(Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)))))
}

/// Holds a response to the limit. A response whose length is not told ends in an error there.
pub(super) fn limit_response(response: Response, limits: &Limits) -> Result<Response, Error> {
    let limit = limits.response_bytes;
    let size = http_body::Body::size_hint(response.body());
    if size.lower() > limit {
        return Err(Error::too_large("the response body", size.lower(), limit));
    }
    if size.upper().is_some_and(|upper| upper <= limit) {
        return Ok(response);
    }
    Ok(response.map(|body| Body::new(LimitedBody { body, left: limit, limit })))
}

/// Like [`Limited`], with an error that says what to do.
struct LimitedBody {
    body: Body,
    left: u64,
    limit: u64,
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = match std::task::ready!(Pin::new(&mut this.body).poll_frame(task)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = this.left.checked_sub(size) else {
            let error = Error::too_large("the response body", this.limit - this.left + size, this.limit);
            tracing::error!(%error, "the response was cut; put large content into a bucket and sign a URL");
            return Poll::Ready(Some(Err(error.into())));
        };
        this.left = left;
        Poll::Ready(Some(Ok(frame)))
    }
}

/// What a client is told of an error: the kind's status and name, and of the client's own faults
/// the message. The whole error goes to the log.
///
/// | kind | status |
/// |---|---|
/// | `InvalidInput` | 400 |
/// | `TooLarge` | 413 |
/// | `Throttled`, `Unavailable` | 503, with `Retry-After` where it is known |
/// | `Timeout` | 504 |
/// | everything else | 500 |
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self.kind() {
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Throttled { .. } | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let detail = if status.is_client_error() { self.message() } else { "the log of the app has the details" };
        if status.is_server_error() {
            tracing::error!(error = ?self, "the request failed");
        }
        let body = serde_json::json!({"error": self.kind().name(), "detail": detail}).to_string();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}
