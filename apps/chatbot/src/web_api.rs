//! The services' Web APIs: JSON over HTTPS, and what their answers mean for the message in hand.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use isobar::axum::body::Bytes;
use isobar::axum::http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use isobar::axum::http::{self, HeaderValue, Request};
use isobar::prelude::*;
use isobar::{BoxError, SecretValue, clock};
use serde::Deserialize;
use serde_json::Value;

/// How long a service may take for one answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 1024 * 1024;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Where the services are.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Apis {
    pub(crate) telegram: String,
    pub(crate) slack: String,
}

impl Default for Apis {
    fn default() -> Self {
        Self { telegram: "https://api.telegram.org".to_owned(), slack: "https://slack.com/api".to_owned() }
    }
}

/// A client that is made at the first call, and keeps its connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct WebApi {
    apis: Config<Apis>,
    client: Arc<OnceLock<Result<Https, String>>>,
}

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// Its JSON; `null` where it is none.
    pub(crate) body: Value,
}

impl WebApi {
    pub(crate) fn open(cloud: &Cloud) -> Self {
        Self { apis: cloud.config("apis").optional(), client: Arc::default() }
    }

    pub(crate) async fn apis(&self) -> Result<Arc<Apis>> {
        Ok(self.apis.find().await?.unwrap_or_default())
    }

    /// Posts JSON. Errors: `InvalidInput`, `Unavailable`, `Timeout`. They never name the URL, which may hold a secret.
    pub(crate) async fn post(&self, url: &str, bearer: Option<&SecretValue>, body: &Value) -> Result<Answer> {
        let malformed = "the address of the Web API or the token is malformed";
        let request = request(url, bearer, body).map_err(|error| Error::invalid_input(malformed).with_source(error))?;
        let client = self.client.get_or_init(client).as_ref().map_err(Error::invalid_input)?;
        let unreachable = |error: BoxError| Error::unavailable("the Web API cannot be reached").with_source(error);
        match tokio::time::timeout(TIMEOUT, exchange(client, request)).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(Error::timeout(format!("the Web API gave no answer within {} s", TIMEOUT.as_secs()))),
        }
    }
}

impl Answer {
    /// The error of an answer that is not a success, by its status: `InvalidInput` where no later try can succeed.
    pub(crate) fn failure(&self, service: &str, reason: &str) -> Error {
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error() {
            return self.later(service, reason);
        }
        Error::invalid_input(format!("{service} refused the reply with status {}: {reason}", self.status.as_u16()))
    }

    /// A later attempt may succeed, at the earliest after the wait that the service requests.
    pub(crate) fn later(&self, service: &str, reason: &str) -> Error {
        let status = self.status.as_u16();
        let error = Error::unavailable(format!("{service} cannot take the reply now, status {status}: {reason}"));
        match self.retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }
}

/// rustls with ring, named here, so that no other crate's choice of a default matters.
fn client() -> Result<Https, String> {
    let tls = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(rustls::crypto::ring::default_provider());
    let tls = tls.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    // Plain HTTP is for fakes in tests; the addresses of the services are HTTPS.
    Ok(Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build()))
}

fn request(url: &str, bearer: Option<&SecretValue>, body: &Value) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::post(url).header(CONTENT_TYPE, "application/json; charset=utf-8");
    if let Some(token) = bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Full::from(body.to_string()))
}

async fn exchange(client: &Https, request: Request<Full<Bytes>>) -> Result<Answer, BoxError> {
    let (parts, body) = client.request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    // Slack says it in a header, Telegram in the body.
    let in_body = || body["parameters"]["retry_after"].as_u64().map(Duration::from_secs);
    let retry_after = retry_after(&parts.headers).or_else(in_body);
    Ok(Answer { status: parts.status, retry_after, body })
}

/// Seconds, or a time, which counts from the time that the service says it is now: its clock may differ from ours.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER)?;
    after.trim().parse::<u64>().map(Duration::from_secs).ok().or_else(|| {
        let now = text(DATE).and_then(clock::parse).unwrap_or_else(SystemTime::now);
        clock::parse(after)?.duration_since(now).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_in_seconds_or_a_time() {
        for (after, seconds) in [
            ("30", Some(30)),
            ("Fri, 28 Aug 2020 00:01:30 GMT", Some(90)),
            ("Thu, 27 Aug 2020 23:59:59 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let now = HeaderValue::from_static("Fri, 28 Aug 2020 00:00:00 GMT");
            let headers = HeaderMap::from_iter([(DATE, now), (RETRY_AFTER, HeaderValue::from_static(after))]);
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{after}");
        }
    }
}
