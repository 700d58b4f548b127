//! Serves an object over HTTP, as a web server does.

use std::time::Duration;

use axum_core::response::IntoResponse;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use object_store::{GetOptions, GetRange};

use super::Bucket;
use super::asked::Asked;
use crate::blob::Object;
use crate::{Body, ErrorKind, Result};

/// An object that is the answer to a request, once it is awaited: see [`Bucket::serve`].
#[derive(Debug, Clone)]
#[must_use = "an object is served once this is awaited"]
pub struct Serve {
    bucket: Bucket,
    key: String,
    asked: Asked,
    redirect: Option<Duration>,
}

impl Serve {
    pub(super) fn new(bucket: Bucket, key: &str) -> Self {
        Self { bucket, key: key.to_owned(), asked: Asked::default(), redirect: None }
    }

    /// Answers this request: HEAD without a body, and any other method as GET. Of the headers it reads `range`,
    /// `if-range`, `if-none-match` and `if-modified-since`.
    pub fn request(mut self, method: &Method, headers: &HeaderMap) -> Self {
        self.asked = Asked::new(method, headers);
        self
    }

    /// Redirects to a signed URL that lives so long, within 7 days, where the object, or the part that is asked for, is
    /// larger than [`Limits::response_bytes`](crate::profile::Limits::response_bytes): the response is a 307 then, else a 500.
    pub fn redirect_large(mut self, expires_in: Duration) -> Self {
        self.redirect = Some(expires_in);
        self
    }

    async fn answer(self) -> Result<Response<Body>> {
        let asked = &self.asked;
        if asked.is_head || asked.is_conditional() {
            let object = self.look().await?;
            let headers = object.headers();
            if asked.is_unchanged(headers.get(ETAG), object.info.modified) {
                return Ok(unchanged(&headers));
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

    async fn send(&self, object: Object) -> Result<Response<Body>> {
        match self.redirect {
            Some(expires_in) if object.size() > self.bucket.resource().limits.response_bytes => {
                let url = self.bucket.signed_get(&self.key, expires_in).await?.url;
                // The URL is a secret, and ends before a cache would forget it.
                let headers = [(LOCATION, url), (CACHE_CONTROL, "no-store".to_owned())];
                Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response())
            }
            _ => Ok(object.into_response()),
        }
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
