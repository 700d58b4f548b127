//! Responses for a test.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::{Body, Error, Result, failure, json};

/// The response to a request, with its whole body.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum::{Json, Router, routing::get};
/// use isobar_abstraction::{App, Cloud, Error, TestClient};
///
/// async fn broken() -> Result<String, Error> {
///     Err(Error::internal("no rate").with_source(Error::not_found("EUR")))
/// }
///
/// let routes = Router::new().route("/", get(async || Json([1, 2]))).route("/broken", get(broken));
/// let routes = routes.route("/panic", get(async || -> String { panic!("no ink") }));
/// let client = TestClient::new(|_: &Cloud| App::new("rates").http(routes))?;
///
/// let answer = client.get("/").await?;
/// assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json")));
/// assert_eq!((answer.json::<Vec<u32>>()?, answer.text()), (vec![1, 2], "[1,2]".to_owned()));
/// assert_eq!(answer.error(), None);
///
/// // The client sees a general text; the log and the test see the cause.
/// let answer = client.get("/broken").await?;
/// assert_eq!(answer.status, 500);
/// assert!(!answer.text().contains("rate"));
/// assert_eq!(answer.error(), Some("no rate (internal): EUR (not-found)"));
/// assert!(client.get("/panic").await?.error().unwrap().contains("no ink"));
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestResponse {
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    error: Option<String>,
}

impl TestResponse {
    /// A response that another client read, without an [`error`](Self::error).
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into(), error: None }
    }

    pub(super) async fn read(response: Response<Body>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| Error::internal("the body of the response broke off").with_source(error))?;
        let error = failure::text(&parts.extensions);
        Ok(Self { error, ..Self::new(parts.status, parts.headers, body.to_bytes()) })
    }

    /// The body as text. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, decoded from JSON. Errors: `InvalidInput` if it is not a `T`.
    pub fn json<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        json::decode(&self.body)
    }

    /// A header as text; `None` if it is absent or not text. Of several values the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The [`Error`] or [`Problem`](crate::Problem) behind the response with its sources, also if the client sees no detail
    /// of it; for a panic, its text.
    ///
    /// Only [`TestClient`](super::TestClient) has it: no host sends it.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
