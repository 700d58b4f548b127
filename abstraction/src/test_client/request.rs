//! Requests of a test.

use std::fmt;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, request};
use serde::Serialize;

use super::{TestClient, TestResponse};
use crate::{Body, Error, Result};

/// A request that has not been sent yet: see [`TestClient::request`].
#[must_use = "`send` sends the request"]
pub struct TestRequest<'a> {
    client: &'a TestClient,
    request: request::Builder,
    body: Result<Body>,
}

impl fmt::Debug for TestRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A header may be a secret.
        let (method, uri) = (self.request.method_ref(), self.request.uri_ref());
        f.debug_struct("TestRequest").field("method", &method).field("uri", &uri).finish_non_exhaustive()
    }
}

impl TestRequest<'_> {
    /// Adds a header.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.request = self.request.header(name.as_ref(), value.as_ref());
        self
    }

    /// Adds the header `authorization` with a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// Sets the body, without a content type: use [`header`](Self::header) for that.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = Ok(body.into());
        self
    }

    /// Sets a body of JSON and its content type.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).map(Body::from).map_err(Error::from);
        self.header(CONTENT_TYPE, "application/json")
    }

    /// Sends the request and reads the whole response.
    ///
    /// Errors: `InvalidInput` for a path or a header that HTTP does not permit; `Internal` for a body that JSON cannot
    /// represent; those of [`TestClient::http`].
    pub async fn send(self) -> Result<TestResponse> {
        self.client.http(self.request.body(self.body?).map_err(bad_request)?).await
    }
}

/// Requests over HTTP.
impl TestClient {
    /// Starts a request with any method; its methods add headers and a body.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, routing::any};
    /// use http::{HeaderMap, Method};
    /// use isobar_abstraction::{App, Cloud, TestClient};
    ///
    /// async fn echo(method: Method, headers: HeaderMap, body: String) -> String {
    ///     format!("{method} {:?} {body}", headers["authorization"])
    /// }
    ///
    /// let app = |_: &Cloud| App::new("echo").http(Router::new().route("/", any(echo)));
    /// let client = TestClient::new(app)?;
    /// let request = client.request(Method::PUT, "/").header("x-tag", "a").bearer("secret");
    /// assert_eq!(request.body("hi").send().await?.text(), r#"PUT "Bearer secret" hi"#);
    /// let request = client.request(Method::DELETE, "/").bearer("secret");
    /// assert_eq!(request.json(&[1, 2]).send().await?.text(), r#"DELETE "Bearer secret" [1,2]"#);
    /// assert!(client.request(Method::GET, "no path").send().await.is_err());
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn request(&self, method: Method, path: &str) -> TestRequest<'_> {
        TestRequest { client: self, request: Request::builder().method(method).uri(path), body: Ok(Body::empty()) }
    }

    /// Sends a GET of a path, or of a signed URL of the cloud in memory. Errors: those of [`TestRequest::send`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Json, Router, routing::any};
    /// use http::Method;
    /// use isobar_abstraction::{App, Cloud, TestClient};
    ///
    /// async fn echo(method: Method, body: String) -> String {
    ///     format!("{method} {body}")
    /// }
    ///
    /// let app = |_: &Cloud| App::new("echo").http(Router::new().route("/", any(echo)));
    /// let client = TestClient::new(app)?;
    /// assert_eq!(client.get("/").await?.text(), "GET ");
    /// assert_eq!(client.head("/").await?.text(), "");
    /// assert_eq!(client.options("/").await?.text(), "OPTIONS ");
    /// assert_eq!(client.delete("/").await?.text(), "DELETE ");
    /// assert_eq!(client.post("/", &"a").await?.text(), r#"POST "a""#);
    /// assert_eq!(client.put("/", &["b"]).await?.text(), r#"PUT ["b"]"#);
    /// assert_eq!(client.patch("/", &7).await?.text(), "PATCH 7");
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get(&self, path: &str) -> Result<TestResponse> {
        self.request(Method::GET, path).send().await
    }

    /// Sends a HEAD of a path, as [`get`](Self::get).
    pub async fn head(&self, path: &str) -> Result<TestResponse> {
        self.request(Method::HEAD, path).send().await
    }

    /// Sends an OPTIONS of a path, as [`get`](Self::get).
    pub async fn options(&self, path: &str) -> Result<TestResponse> {
        self.request(Method::OPTIONS, path).send().await
    }

    /// Sends a DELETE of a path, as [`get`](Self::get).
    pub async fn delete(&self, path: &str) -> Result<TestResponse> {
        self.request(Method::DELETE, path).send().await
    }

    /// Sends a POST of JSON to a path, as [`get`](Self::get).
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<TestResponse> {
        self.request(Method::POST, path).json(body).send().await
    }

    /// Sends a PUT of JSON to a path, as [`get`](Self::get).
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<TestResponse> {
        self.request(Method::PUT, path).json(body).send().await
    }

    /// Sends a PATCH of JSON to a path, as [`get`](Self::get).
    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<TestResponse> {
        self.request(Method::PATCH, path).json(body).send().await
    }

    /// A client of the same app and data that adds this header to requests without it. An invalid header is an error of the
    /// first request. Requests to signed URLs do not have the header.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, routing::get};
    /// use http::HeaderMap;
    /// use isobar_abstraction::{App, Cloud, TestClient};
    ///
    /// async fn whoami(headers: HeaderMap) -> String {
    ///     format!("{:?} {:?}", headers.get("authorization"), headers.get("accept"))
    /// }
    ///
    /// let guest = TestClient::new(|_: &Cloud| App::new("whoami").http(Router::new().route("/", get(whoami))))?;
    /// let ada = guest.with_bearer("ada").with_header("accept", "text/plain");
    /// assert_eq!(guest.get("/").await?.text(), "None None");
    /// assert_eq!(ada.get("/").await?.text(), r#"Some("Bearer ada") Some("text/plain")"#);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn with_header(&self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(set, _)| !set.eq_ignore_ascii_case(name.as_ref()));
        client.headers.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        client
    }

    /// [`with_header`](Self::with_header) with a bearer token.
    #[must_use]
    pub fn with_bearer(&self, token: &str) -> Self {
        self.with_header(AUTHORIZATION, format!("Bearer {token}"))
    }

    /// Adds the headers of the client.
    pub(super) fn add_headers(&self, request: &mut Request<Body>) -> Result<()> {
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(bad_request)?;
            let value = HeaderValue::try_from(value).map_err(bad_request)?;
            request.headers_mut().entry(name).or_insert(value);
        }
        Ok(())
    }
}

fn bad_request(error: impl Into<http::Error>) -> Error {
    Error::invalid_input("the path or a header is not valid in HTTP").with_source(error.into())
}
