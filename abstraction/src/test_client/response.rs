//! What a test reads of an answer.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::{Body, Error, Result, failure, json};

/// The answer to a request, read whole.
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
/// // A client sees that it failed, and only the log and the test see why.
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
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    error: Option<String>,
}

impl TestResponse {
    /// An answer that another client read.
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into(), error: None }
    }

    pub(super) async fn read(response: Response<Body>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Error::internal("the body broke off").with_source(error))?;
        let error = failure::text(&parts.extensions);
        Ok(Self { error, ..Self::new(parts.status, parts.headers, body.to_bytes()) })
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON. Errors: `InvalidInput`.
    pub fn json<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        json::decode(&self.body)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The [`Error`] that the response was made of, with its sources, also where the client sees no detail of it;
    /// of a handler that panicked, the text of the panic.
    ///
    /// Only [`TestClient`](super::TestClient) knows it: it is never a part of what a host sends.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
