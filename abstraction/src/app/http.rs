//! The HTTP side of an app: any tower service, its body limits, and what an error looks like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum_core::extract::DefaultBodyLimit;
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::select;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use super::failed;
use super::handler::{Handler, erased};
use crate::profile::Limits;
use crate::{Body, BoxError, Context, Error, ErrorKind, Event, Origin, Reply, failure};

/// The handler that a tower service is.
pub(super) fn erase<S, B>(service: S) -> Arc<Handler>
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let take = |event| if let Event::Http(request) = event { Ok(request) } else { Err(event) };
    erased(take, move |mut request: Request<Body>, cx| {
        request.extensions_mut().insert(cx);
        let mut service = service.clone();
        async move {
            std::future::poll_fn(|task| service.poll_ready(task)).await.map_err(failed)?;
            Ok(Reply::Http(service.call(request).await.map_err(failed)?.map(Body::new)))
        }
    })
}

/// Holds a request to the limit: refuses at once where its length is known, else while it is read.
pub(super) fn limit_request(
    mut request: Request<Body>,
    limits: &Limits,
    overrun: &Overrun,
) -> Result<Request<Body>, TooLarge> {
    let limit = limits.request_bytes;
    let told = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let hint = http_body::Body::size_hint(request.body());
    let known = told.unwrap_or_default().max(hint.lower());
    if known > limit {
        return Err(TooLarge { error: Error::too_large("the request body", known, limit), body: request.into_body() });
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    // axum's extractors stop at 2 MB unless the request says otherwise.
    DefaultBodyLimit::max(most).apply(&mut request);
    if told.is_some() || hint.upper().is_some_and(|upper| upper <= limit) {
        return Ok(request);
    }
    let Overrun(overran) = overrun.clone();
    let note = move |error: BoxError| {
        overran.fetch_or(error.is::<LengthLimitError>(), Ordering::Relaxed);
        error
    };
    Ok(request.map(|body| Body::new(Limited::new(body, most).map_err(note))))
}

/// A request that is refused for its size, with the body that its client is still sending.
pub(super) struct TooLarge {
    error: Error,
    body: Body,
}

/// What is read of a refused body, so that its client comes to read the answer: many clients take a
/// connection that is closed while they send for a failure of the network.
const DISCARDED: u64 = 32 * 1024 * 1024;

/// How long it is read. A client that sends slowly is answered before its end, and before its deadline.
const DISCARDING: Duration = Duration::from_secs(2);

impl TooLarge {
    pub(super) async fn into_response(self, cx: &Context) -> Response {
        let mut body = Limited::new(self.body, DISCARDED as usize);
        let read = async { while let Some(Ok(_)) = body.frame().await {} };
        select(std::pin::pin!(read), cx.sleep(DISCARDING)).await;
        self.error.into_response()
    }
}

/// Was a request that did not tell its length larger than the limit? Known once it has been read.
#[derive(Clone, Default)]
pub(super) struct Overrun(Arc<AtomicBool>);

impl Overrun {
    /// The answer to the request, whatever the service made of the part that it has seen.
    pub(super) fn response(&self, limits: &Limits) -> Option<Response> {
        let limit = limits.request_bytes;
        let error = || {
            Error::new(ErrorKind::TooLarge, format!("the request body is larger than the limit, {limit}"))
                .with_limit(limit)
        };
        self.0.load(Ordering::Relaxed).then(|| error().into_response())
    }
}

/// What a client sees of an error, by its [origin](Error::origin) and kind.
///
/// | kind | `App`, `Data` | `Request` | `Service` |
/// |---|---|---|---|
/// | `InvalidInput` | 400 | 400 | 500 |
/// | `Unauthenticated` | 401 | 500 | 500 |
/// | `PermissionDenied` | 403 | 500 | 500 |
/// | `NotFound` | 404 | 500 | 500 |
/// | `AlreadyExists` | 409 | 500 | 500 |
/// | `Conflict` | 409 | 500 | 503 |
/// | `TooLarge` | 413 | 413 | 500 |
/// | `Throttled` | 429 | 500 | 503 |
/// | `Unavailable` | 503 | 500 | 503 |
/// | `Timeout` | 504 | 500 | 503 |
/// | `Unsupported` | 501 | 500 | 500 |
/// | `Config`, `Internal` | 500 | 500 | 500 |
///
/// The body is JSON: `{"error": KIND, "detail": TEXT}`. The kind is written as by [`ErrorKind::name`], and
/// the detail is the [message](Error::message), for errors of the `App` and of `Data` but `Config` and
/// `Internal`, and for each 400 and 413. In all other cases the kind is `unavailable` for 503, else
/// `internal`, and the detail is a general sentence. Each error with a status from 500 is logged once, with
/// its sources. `Retry-After` is set, in whole seconds, where [`Error::retry_after`] is known.
///
/// A handle that lacks the access for a call is `PermissionDenied` of a `Request`, and so a 500: the app
/// declares too little. A 403 would say that the client lacks a right.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{Cloud, Error, Result};
///
/// /// Over HTTP: 404 with the message.
/// async fn todo(cloud: &Cloud, id: &str) -> Result<String> {
///     cloud.table::<String>("todos").get(id).await?.ok_or_else(|| Error::not_found("no such todo"))
/// }
///
/// use axum_core::response::IntoResponse;
/// let absent = todo(&Cloud::memory(), "milk").await.unwrap_err();
/// assert_eq!(absent.into_response().status(), 404);
/// // The key is refused: 400.
/// assert_eq!(todo(&Cloud::memory(), "").await.unwrap_err().into_response().status(), 400);
/// # });
/// ```
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = status(self.origin(), self.kind());
        if status.is_server_error() {
            tracing::error!(error = ?self, "the request failed");
        }
        let (error, detail) = match (is_shown(self.origin(), self.kind()), status) {
            (true, _) => (self.kind().name(), self.message()),
            (false, StatusCode::SERVICE_UNAVAILABLE) => (ErrorKind::Unavailable.name(), HIDDEN),
            (false, _) => (ErrorKind::Internal.name(), HIDDEN),
        };
        let mut response = answer(status, error, detail);
        if let Some(after) = self.retry_after() {
            // The header counts whole seconds, and less than was asked for is too early.
            let after = after.min(Limits::PORTABLE.retry_after);
            let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        failure::keep(self, &mut response);
        response
    }
}

/// The JSON that a client gets instead of an answer of the app.
pub(super) fn answer(status: StatusCode, error: &str, detail: &str) -> Response {
    let body = serde_json::json!({"error": error, "detail": detail}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The detail that a client sees of what it cannot mend.
const HIDDEN: &str = "the log of the app has the details";

fn status(origin: Origin, kind: ErrorKind) -> StatusCode {
    match origin {
        Origin::App | Origin::Data => status_of_app(kind),
        Origin::Request => match kind {
            ErrorKind::InvalidInput | ErrorKind::TooLarge => status_of_app(kind),
            // What is left of these, such as an access that was not declared, no client can mend.
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
        Origin::Service => match kind {
            ErrorKind::Conflict | ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Timeout => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

fn status_of_app(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Config | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// May a client see the message?
fn is_shown(origin: Origin, kind: ErrorKind) -> bool {
    match origin {
        Origin::App | Origin::Data => !matches!(kind, ErrorKind::Config | ErrorKind::Internal),
        Origin::Request => matches!(kind, ErrorKind::InvalidInput | ErrorKind::TooLarge),
        Origin::Service => false,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_large_body_that_is_sent_slowly_is_refused_after_two_seconds() {
        let clock = Arc::new(ManualClock::default());
        let cx = Context::new("memory", clock.clone());
        let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, BoxError>>());
        let request = Request::post("/").header(CONTENT_LENGTH, "20000000").body(body).unwrap();
        let refused = limit_request(request, &Limits::PORTABLE, &Overrun::default()).err().unwrap();
        let mut answered = std::pin::pin!(refused.into_response(&cx));
        assert!(answered.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_secs(2));
        assert_eq!(answered.now_or_never().unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn origin_and_kind_decide_the_status_and_whether_the_message_is_shown() {
        use ErrorKind as K;
        // The statuses of App and Data, Request, and Service; whether the message of each is shown.
        let rows = [
            (K::InvalidInput, [400, 400, 500], [true, true]),
            (K::Unauthenticated, [401, 500, 500], [true, false]),
            (K::PermissionDenied, [403, 500, 500], [true, false]),
            (K::NotFound, [404, 500, 500], [true, false]),
            (K::AlreadyExists, [409, 500, 500], [true, false]),
            (K::Conflict, [409, 500, 503], [true, false]),
            (K::TooLarge, [413, 413, 500], [true, true]),
            (K::Throttled, [429, 500, 503], [true, false]),
            (K::Unavailable, [503, 500, 503], [true, false]),
            (K::Timeout, [504, 500, 503], [true, false]),
            (K::Unsupported, [501, 500, 500], [true, false]),
            (K::Config, [500, 500, 500], [false, false]),
            (K::Internal, [500, 500, 500], [false, false]),
        ];
        for (kind, [app, request, service], [shown, shown_of_request]) in rows {
            for origin in [Origin::App, Origin::Data] {
                assert_eq!((status(origin, kind).as_u16(), is_shown(origin, kind)), (app, shown), "{kind:?}");
            }
            let found = (status(Origin::Request, kind).as_u16(), is_shown(Origin::Request, kind));
            assert_eq!(found, (request, shown_of_request), "{kind:?}");
            let found = (status(Origin::Service, kind).as_u16(), is_shown(Origin::Service, kind));
            assert_eq!(found, (service, false), "{kind:?}");
        }
    }
}
