//! Serves an object over HTTP, as a web server does.

use std::time::Duration;

use axum_core::response::IntoResponse;
use futures_util::future::BoxFuture;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, ETAG, LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use object_store::{GetOptions, GetRange};

use super::Bucket;
use super::asked::Asked;
use crate::blob::Object;
use crate::{Body, Error, ErrorKind, Origin, Result};

/// An object that is the answer to a request, once it is awaited: see [`Bucket::serve`].
#[derive(Debug, Clone)]
#[must_use = "an object is served once this is awaited"]
pub struct Serve {
    bucket: Bucket,
    key: String,
    asked: Asked,
    redirect: Option<Duration>,
    sandboxed: bool,
}

impl Serve {
    pub(super) fn new(bucket: Bucket, key: &str) -> Self {
        Self { bucket, key: key.to_owned(), asked: Asked::default(), redirect: None, sandboxed: false }
    }

    /// Answers this request: HEAD without a body, and any other method as GET. Of the headers it reads `range`,
    /// `if-range`, `if-none-match` and `if-modified-since`.
    pub fn request(mut self, method: &Method, headers: &HeaderMap) -> Self {
        self.asked = Asked::new(method, headers);
        self
    }

    /// Redirects to a signed URL that lives so long, within 7 days, where the object, or the part that is asked for, is
    /// larger than [`Limits::response_bytes`](crate::profile::Limits::response_bytes): the response is a 307 then, else a 500.
    /// That holds for HEAD too; on S3 the URL is for GET only. A whole object that is too large is opened, and not read.
    ///
    /// Errors, once awaited: `Config` for another lifetime, whatever the size.
    pub fn redirect_large(mut self, expires_in: Duration) -> Self {
        self.redirect = Some(expires_in);
        self
    }

    /// For content of users, which can be a page with scripts: with `content-security-policy: sandbox` a browser shows it
    /// without the rights of the app's own pages, and runs no script of it. Images, sound and films play as before.
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

    /// A fault of the app, not of its client.
    fn misused(&self, error: &Error) -> Error {
        let error = Error::config(format!("`redirect_large`: {}", error.message())).with_origin(Origin::App);
        self.bucket.resource().explain("serve", error)
    }

    async fn content(&self) -> Result<Response<Body>> {
        let asked = &self.asked;
        if asked.is_head || asked.is_conditional() {
            let object = self.look().await?;
            let headers = object.headers();
            if asked.is_unchanged(headers.get(ETAG), object.info.modified) {
                return Ok(unchanged(&headers));
            }
            if let Some(expires_in) = self.redirects(object.info.size).filter(|_| asked.range.is_none()) {
                return self.redirected(expires_in).await;
            }
            if asked.is_head {
                return Ok((headers, [(CONTENT_LENGTH, HeaderValue::from(object.info.size))]).into_response());
            }
        }
        match &asked.range {
            Some(range) => self.part(range).await,
            None => self.whole().await,
        }
    }

    /// The object without its content.
    async fn look(&self) -> Result<Object> {
        self.bucket.read("head", &self.key, GetOptions::new().with_head(true), None).await
    }

    async fn whole(&self) -> Result<Response<Body>> {
        self.send(self.bucket.get(&self.key).await?).await
    }

    async fn part(&self, range: &GetRange) -> Result<Response<Body>> {
        let options = GetOptions::new().with_range(Some(range.clone()));
        let (is_empty, object) = match self.bucket.read("get", &self.key, options, None).await {
            // The last bytes of an empty object are none.
            Ok(part) => (part.range.is_empty(), part),
            Err(error) if error.kind() == ErrorKind::InvalidInput => (true, self.look().await?),
            Err(error) => return Err(error),
        };
        match self.asked.is_range_of(object.headers().get(ETAG), object.info.modified) {
            false => self.whole().await,
            true if is_empty => Ok(unsatisfiable(object.info.size)),
            true => self.send(object).await,
        }
    }

    /// The size is known once the object is open: to look first would be one more request for each small object.
    async fn send(&self, object: Object) -> Result<Response<Body>> {
        match self.redirects(object.size()) {
            Some(expires_in) => self.redirected(expires_in).await,
            None => Ok(object.into_response()),
        }
    }

    /// For how long, where so many bytes are too many for a response.
    fn redirects(&self, size: u64) -> Option<Duration> {
        self.redirect.filter(|_| size > self.bucket.resource().limits.response_bytes)
    }

    async fn redirected(&self, expires_in: Duration) -> Result<Response<Body>> {
        let url = self.bucket.signed_get(&self.key, expires_in).await?.url;
        // The URL is a secret, and ends before a cache would forget it.
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

/// RFC 9110, 15.4.5.
fn unchanged(headers: &HeaderMap) -> Response<Body> {
    let kept = [ETAG, LAST_MODIFIED, CACHE_CONTROL].into_iter();
    let kept: HeaderMap = kept.filter_map(|name| headers.get(&name).cloned().map(|value| (name, value))).collect();
    (StatusCode::NOT_MODIFIED, kept).into_response()
}

/// RFC 9110, 15.5.17.
fn unsatisfiable(size: u64) -> Response<Body> {
    let headers = [(CONTENT_RANGE, format!("bytes */{size}")), (ACCEPT_RANGES, "bytes".to_owned())];
    (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response()
}
