//! [`Problem`]: the error of an HTTP handler, and the form of all errors over HTTP.
//!
//! Every error has one form, `{"error": NAME, "detail": TEXT}`. A client sees the details of its own mistakes only; those of
//! a fault of the app or of a service are in the log, because they can contain names and addresses of services.

use std::borrow::Cow;
use std::fmt;

use axum_core::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::outcome::chain;
use crate::profile::Limits;
use crate::{BoxError, Error, ErrorKind, Origin, failure};

/// The error of an HTTP handler: a status and an error.
///
/// `?` converts any error to a problem. The constructors make one with a message for the client.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum::extract::{Path, State};
/// use axum::{Json, Router, routing::get};
/// use isobar_abstraction::key_value::Table;
/// use isobar_abstraction::{App, Problem, TestClient};
///
/// async fn half(State(prices): State<Table<String>>, Path(id): Path<String>) -> Result<Json<u32>, Problem> {
///     let price = prices.get(&id).await?.ok_or_else(|| Problem::not_found("no such price"))?;
///     let price: u32 = price.parse()?;
///     Ok(Json(price / 2))
/// }
///
/// let client = TestClient::new(|cloud| {
///     let prices = cloud.table::<String>("prices");
///     App::new("shop").http(Router::new().route("/{id}", get(half)).with_state(prices))
/// })?;
/// let absent = client.get("/tea").await?;
/// assert_eq!(absent.status, 404);
/// assert_eq!(absent.text(), r#"{"detail":"no such price","error":"not-found"}"#);
///
/// client.cloud().table::<String>("prices").put("tea", &"dear".to_owned()).await?;
/// let unreadable = client.get("/tea").await?;
/// assert_eq!(unreadable.status, 500);
/// assert!(!unreadable.text().contains("digit"));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
///
/// The response has the form of the response of an [`Error`]: `{"error": NAME, "detail": TEXT}`.
///
/// # Sources
///
/// A problem of `?` has the status and the response of the first isobar [`Error`] among the error and its
/// [sources](std::error::Error::source). Without one it is a 500 with a general detail. A 500 is logged once, with all
/// sources.
///
/// An isobar error inside an error of `object_store` does not count; `Error::from` converts such an error with its kind. An
/// isobar error inside an `anyhow::Error` counts if it has a `.context(…)`, and does not without one.
///
/// # Messages
///
/// The client sees the message of a constructor, except for that of a 500, which only the log contains.
///
/// A `Problem` is not a `std::error::Error`, because `?` could not convert any error to it then. A function that HTTP and
/// triggers share must return an [`Error`](crate::Error) or another error type.
pub struct Problem {
    /// The status of a constructor; otherwise the error decides.
    stated: Option<StatusCode>,
    error: BoxError,
}

impl Problem {
    /// A problem with a status from 400 to 599. Any other status becomes a 500, and the log contains it.
    ///
    /// The `error` of the response is the [kind](ErrorKind) of the status, or, if no kind has this status, its standard
    /// name, such as `unprocessable-entity`.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        if !(400..=599).contains(&status.as_u16()) {
            let message = message.into();
            let error = Error::internal(format!("a problem with the status {}: {message}", status.as_u16()));
            return Self { stated: None, error: error.into() };
        }
        let other = if status.is_server_error() { ErrorKind::Unavailable } else { ErrorKind::InvalidInput };
        let kind = kind_of(status).unwrap_or(other);
        Self { stated: Some(status), error: Error::new(kind, message).into() }
    }

    /// 400: the request is invalid. The message says what is wrong with it.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: the credentials are missing or wrong.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: the client is known, and may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: the requested resource does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 409: the stored state does not permit the request.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 422: the request can be parsed, but its values are invalid.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 429: the client sends too many requests. For a `retry-after`, use [`Error::throttled`] with
    /// [`Error::with_retry_after`].
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }

    /// 503: the app cannot serve the request now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Adds the error that caused a problem of a constructor, for the log: at the level `ERROR` for a status from 500,
    /// otherwise at `DEBUG`, because a client can cause any number of those. A problem of another error keeps its sources.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        let error = match self.error.downcast::<Error>() {
            Ok(error) => error.with_source(source).into(),
            Err(other) => other,
        };
        Self { error, ..self }
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        let of_error = || self.found().map(|error| status(error.origin(), error.kind()));
        self.stated.or_else(of_error).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn found(&self) -> Option<&Error> {
        Error::find(self.error.as_ref())
    }

    /// The name and the detail that the client sees.
    fn name_and_detail(&self) -> (Cow<'static, str>, &str) {
        let status = self.status();
        match self.found().filter(|error| is_visible(error.origin(), error.kind())) {
            Some(error) => (name(status, error.kind()), error.message()),
            None if status == StatusCode::SERVICE_UNAVAILABLE => (ErrorKind::Unavailable.name().into(), HIDDEN),
            None => (ErrorKind::Internal.name().into(), HIDDEN),
        }
    }
}

impl<E: Into<BoxError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self { stated: None, error: error.into() }
    }
}

/// The status of a constructor, and the error with its sources.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.stated {
            write!(f, "{}: ", status.as_u16())?;
        }
        match self.error.downcast_ref::<Error>() {
            Some(error) => write!(f, "{error:?}"),
            None => f.write_str(&chain(self.error.as_ref())),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = ?self, "the request failed");
        } else if self.error.source().is_some() {
            tracing::debug!(error = ?self, "the request was rejected");
        }
        let (name, detail) = self.name_and_detail();
        let mut response = answer(status, &name, detail);
        if let Some(after) = self.found().and_then(Error::retry_after) {
            // The header has whole seconds, and a retry before the requested time is too early.
            let after = after.min(Limits::PORTABLE.retry_after);
            let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.found().is_some_and(Error::outcome_unknown) {
            failure::mark_outcome_unknown(&mut response);
        }
        failure::keep(self, &mut response);
        response
    }
}

/// The response of an error, by its [origin](Error::origin) and kind.
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
/// The body is JSON: `{"error": KIND, "detail": TEXT}`. The client sees the [name](ErrorKind::name) of the kind and the
/// [message](Error::message) for errors of `App` and `Data`, except `Config` and `Internal`, and for each 400 and 413. In
/// all other cases the kind is `unavailable` for a 503 and `internal` otherwise, and the detail is a general sentence. Each
/// error with a status from 500 is logged once, with its sources. If the error has a [`Error::retry_after`], the response has
/// the header `retry-after` in whole seconds, at most 6 hours.
///
/// A handle without the access for a call is `PermissionDenied` of `Request`, and so a 500: the app declares too little. A
/// 403 would mean that the client lacks a right.
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
/// // An empty key is rejected: 400.
/// assert_eq!(todo(&Cloud::memory(), "").await.unwrap_err().into_response().status(), 400);
/// # });
/// ```
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// The kind whose name is in a response with this status.
fn kind_of(status: StatusCode) -> Option<ErrorKind> {
    use ErrorKind::{
        Conflict, Internal, InvalidInput, NotFound, PermissionDenied, Throttled, Timeout, TooLarge, Unauthenticated,
        Unavailable, Unsupported,
    };
    let kinds = [
        InvalidInput,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        Conflict,
        TooLarge,
        Throttled,
        Unsupported,
        Unavailable,
        Timeout,
        Internal,
    ];
    kinds.into_iter().find(|kind| status_of_app(*kind) == status)
}

/// The name of the kind, or that of the status if the kind has another status.
fn name(status: StatusCode, kind: ErrorKind) -> Cow<'static, str> {
    match status.canonical_reason().filter(|_| status_of_app(kind) != status) {
        Some(reason) => reason.to_ascii_lowercase().replace(' ', "-").into(),
        None => kind.name().into(),
    }
}

/// The response of an error as JSON.
pub(crate) fn answer(status: StatusCode, error: &str, detail: &str) -> Response {
    let body = serde_json::json!({"error": error, "detail": detail}).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The detail of an error that a client cannot correct.
const HIDDEN: &str = "the log of the app has the details";

fn status(origin: Origin, kind: ErrorKind) -> StatusCode {
    match origin {
        Origin::App | Origin::Data => status_of_app(kind),
        Origin::Request => match kind {
            ErrorKind::InvalidInput | ErrorKind::TooLarge => status_of_app(kind),
            // A client cannot correct the others, such as an access that was not declared.
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
fn is_visible(origin: Origin, kind: ErrorKind) -> bool {
    match origin {
        Origin::App | Origin::Data => !matches!(kind, ErrorKind::Config | ErrorKind::Internal),
        Origin::Request => matches!(kind, ErrorKind::InvalidInput | ErrorKind::TooLarge),
        Origin::Service => false,
    }
}

#[cfg(test)]
mod tests;
