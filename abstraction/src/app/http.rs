//! The HTTP side of an app: any tower service, and the limit of request bodies.
//!
//! The body of a request that is too large is read for a while before the answer: see [`DISCARDED_BYTES`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum_core::extract::DefaultBodyLimit;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::select;
use http::Request;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use super::failed;
use super::handler::{Handler, erased};
use crate::profile::Limits;
use crate::{Body, BoxError, Context, Error, ErrorKind, Event, Reply};

/// Makes a handler from a tower service.
pub(super) fn erase<S, B>(service: S) -> Arc<Handler>
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let take = |event| if let Event::Http(request) = event { Some(request) } else { None };
    erased(take, move |mut request: Request<Body>, cx| {
        request.extensions_mut().insert(cx);
        let mut service = service.clone();
        async move {
            std::future::poll_fn(|task| service.poll_ready(task)).await.map_err(failed)?;
            Ok(Reply::Http(service.call(request).await.map_err(failed)?.map(Body::new)))
        }
    })
}

/// Applies the limit to a request body: immediately if the length is known, otherwise while the body is read.
pub(super) fn limit_request(
    mut request: Request<Body>,
    limits: &Limits,
    overrun: &Overrun,
) -> Result<Request<Body>, TooLarge> {
    let limit = limits.request_bytes;
    let stated = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let hint = http_body::Body::size_hint(request.body());
    let known = stated.unwrap_or_default().max(hint.lower());
    if known > limit {
        return Err(TooLarge { error: Error::too_large("the request body", known, limit), body: request.into_body() });
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    // Without this extension of the request, axum's extractors stop at 2 MB.
    DefaultBodyLimit::max(most).apply(&mut request);
    if stated.is_some() || hint.upper().is_some_and(|upper| upper <= limit) {
        return Ok(request);
    }
    let Overrun(overran) = overrun.clone();
    let note = move |error: BoxError| {
        overran.fetch_or(error.is::<LengthLimitError>(), Ordering::Relaxed);
        error
    };
    Ok(request.map(|body| Body::new(Limited::new(body, most).map_err(note))))
}

/// The rejection of a request that is too large, with the body that its client still sends.
pub(super) struct TooLarge {
    error: Error,
    body: Body,
}

/// The bytes of a rejected body that are read and discarded, so that its client reads the answer: many clients report a
/// network failure if the connection is closed while they send.
const DISCARDED_BYTES: u64 = 32 * 1024 * 1024;

/// The longest time for that. A client that sends slowly receives the answer before it has sent all.
const DISCARD_TIME: Duration = Duration::from_secs(2);

impl TooLarge {
    pub(super) async fn into_response(self, cx: &Context) -> Response {
        let mut body = Limited::new(self.body, DISCARDED_BYTES as usize);
        let read = async { while let Some(Ok(_)) = body.frame().await {} };
        select(std::pin::pin!(read), cx.sleep(DISCARD_TIME)).await;
        self.error.into_response()
    }
}

/// Was a body of unknown length larger than the limit? This is known when the body has been read.
#[derive(Clone, Default)]
pub(super) struct Overrun(Arc<AtomicBool>);

impl Overrun {
    /// The rejection of such a request. It replaces the answer of the service, which has read only a part of the body.
    pub(super) fn response(&self, limits: &Limits) -> Option<Response> {
        let limit = limits.request_bytes;
        let error = || {
            Error::new(ErrorKind::TooLarge, format!("the request body is larger than the limit, {limit}"))
                .with_limit(limit)
        };
        self.0.load(Ordering::Relaxed).then(|| error().into_response())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;
    use http::StatusCode;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_large_body_that_is_sent_slowly_is_rejected_after_two_seconds() {
        let clock = Arc::new(ManualClock::default());
        let cx = Context::new("memory", clock.clone());
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, BoxError>>());
        let request = Request::post("/").header(CONTENT_LENGTH, "20000000").body(body).unwrap();
        let too_large = limit_request(request, &Limits::PORTABLE, &Overrun::default()).err().unwrap();
        let mut answered = std::pin::pin!(too_large.into_response(&cx));
        assert!(answered.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(2));
        assert_eq!(answered.now_or_never().unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
