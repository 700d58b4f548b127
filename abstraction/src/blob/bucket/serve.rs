//! [`Serve`]: an object as the response to an HTTP request, as of a web server.

use std::time::Duration;

use axum_core::response::IntoResponse;
use futures_util::future::BoxFuture;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, ETAG, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use object_store::{GetOptions, GetRange};

use super::Bucket;
use super::conditions::Conditions;
use crate::blob::Object;
use crate::{Body, Error, ErrorKind, Origin, Result};

/// An object that becomes the response to a request when this is awaited: see [`Bucket::serve`].
#[derive(Debug, Clone)]
#[must_use = "an object is served once this is awaited"]
pub struct Serve {
    bucket: Bucket,
    key: String,
    conditions: Conditions,
    redirect: Option<Duration>,
    sandboxed: bool,
}

impl Serve {
    pub(super) fn new(bucket: Bucket, key: &str) -> Self {
        Self { bucket, key: key.to_owned(), conditions: Conditions::default(), redirect: None, sandboxed: false }
    }

    /// Sets the request. HEAD has a response without a body; any other method counts as GET. The headers `range`,
    /// `if-range`, `if-none-match` and `if-modified-since` are read; without this call there are none.
    pub fn request(mut self, method: &Method, headers: &HeaderMap) -> Self {
        self.conditions = Conditions::new(method, headers);
        self
    }

    /// Redirects to a signed URL if the object, or the requested part, is larger than
    /// [`Limits::response_bytes`](crate::profile::Limits::response_bytes), 4,500,000 bytes. The response is a 307 then, and
    /// without this call a 500. `expires_in` is the lifetime of the URL, from 1 second to 7 days.
    ///
    /// HEAD is redirected too; on S3 the URL permits GET only. A whole object that is too large is opened but not read.
    ///
    /// Errors, when awaited: `Config` for a lifetime out of range, also for a small object.
    pub fn redirect_large(mut self, expires_in: Duration) -> Self {
        self.redirect = Some(expires_in);
        self
    }

    /// Adds `content-security-policy: sandbox`, for content of users. Such content can be a page with scripts; with the
    /// header a browser runs none of them, and gives the page no rights in the origin of the app. Images, sound and films
    /// are not affected.
    ///
    /// The URL of [`redirect_large`](Self::redirect_large) is in the origin of the store, and on a laptop in a sandbox.
    pub fn sandboxed(mut self) -> Self {
        self.sandboxed = true;
        self
    }

    async fn answer(self) -> Result<Response<Body>> {
        if let Some(expires_in) = self.redirect {
            self.bucket.check_lifetime(expires_in).map_err(|error| self.misused(&error))?;
        }
        let mut response = self.content().await?;
        if self.sandboxed {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        }
        Ok(response)
    }

    /// An error of the app, not of its client.
    fn misused(&self, error: &Error) -> Error {
        let error = Error::config(format!("`redirect_large`: {}", error.message())).with_origin(Origin::App);
        self.bucket.resource().explain("serve", error)
    }

    async fn content(&self) -> Result<Response<Body>> {
        let conditions = &self.conditions;
        if conditions.is_head || conditions.is_conditional() {
            let object = self.look().await?;
            let headers = object.headers();
            if conditions.is_unchanged(headers.get(ETAG), object.info.modified) {
                return Ok(unchanged(&headers));
            }
            if let Some(expires_in) = self.redirects(object.info.size).filter(|_| conditions.range.is_none()) {
                return self.redirected(expires_in).await;
            }
            if conditions.is_head {
                return Ok((headers, [(CONTENT_LENGTH, HeaderValue::from(object.info.size))]).into_response());
            }
        }
        match &conditions.range {
            Some(range) => self.part(range).await,
            None => self.whole().await,
        }
    }

    /// Reads the object without its content.
    async fn look(&self) -> Result<Object> {
        self.bucket.read("head", &self.key, GetOptions::new().with_head(true), None).await
    }

    async fn whole(&self) -> Result<Response<Body>> {
        self.send(self.bucket.get(&self.key).await?).await
    }

    async fn part(&self, range: &GetRange) -> Result<Response<Body>> {
        let options = GetOptions::new().with_range(Some(range.clone()));
        let (is_empty, object) = match self.bucket.read("get", &self.key, options, None).await {
            // A suffix of an empty object is empty.
            Ok(part) => (part.range.is_empty(), part),
            Err(error) if error.kind() == ErrorKind::InvalidInput => (true, self.look().await?),
            Err(error) => return Err(error),
        };
        match self.conditions.is_range_of(object.headers().get(ETAG), object.info.modified) {
            false => self.whole().await,
            true if is_empty => Ok(unsatisfiable(object.info.size)),
            true => self.send(object).await,
        }
    }

    /// Sends an open object, or redirects by its size. A check of the size before would be one more request for each small
    /// object.
    async fn send(&self, object: Object) -> Result<Response<Body>> {
        match self.redirects(object.size()) {
            Some(expires_in) => self.redirected(expires_in).await,
            None => Ok(object.into_response()),
        }
    }

    /// The lifetime of the URL, if the size is too large for a response.
    fn redirects(&self, size: u64) -> Option<Duration> {
        self.redirect.filter(|_| size > self.bucket.resource().limits.response_bytes)
    }

    async fn redirected(&self, expires_in: Duration) -> Result<Response<Body>> {
        let url = self.bucket.signed_get(&self.key, expires_in).await?.url;
        // The URL is a secret, and expires before a cache would remove it.
        let headers = [(LOCATION, url), (CACHE_CONTROL, "no-store".to_owned())];
        Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
    }
}

impl IntoFuture for Serve {
    type Output = Result<Response<Body>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.answer())
    }
}

/// The response 304 (RFC 9110, 15.4.5).
fn unchanged(headers: &HeaderMap) -> Response<Body> {
    let names = [ETAG, LAST_MODIFIED, CACHE_CONTROL].into_iter();
    let headers: HeaderMap = names.filter_map(|name| headers.get(&name).cloned().map(|value| (name, value))).collect();
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

/// The response 416 (RFC 9110, 15.5.17).
fn unsatisfiable(size: u64) -> Response<Body> {
    let headers = [(CONTENT_RANGE, format!("bytes */{size}")), (ACCEPT_RANGES, "bytes".to_owned())];
    (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response()
}
