//! The guard of HTTP routes by the header
//! [`Idempotency-Key`](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LINK, LOCATION,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tower_layer::Layer;
use tower_service::Service;

use super::result::in_progress;
use super::store::{Claim, Settled, Start};
use super::{Once, digest};
use crate::key_value::Key;
use crate::original_uri::OriginalUri;
use crate::{Body, Context, Error, ErrorKind, Problem, Result, failure};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key of a client.
const LONGEST_KEY: usize = 255;

/// The headers that are stored with an answer.
const STORED: [HeaderName; 8] =
    [CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, ETAG, LAST_MODIFIED, LINK, LOCATION];

type Caller = dyn Fn(&Parts) -> Result<String, Problem> + Send + Sync;

/// A layer around HTTP routes, by which a client can repeat a request without a second effect: see [`Once::http`].
#[derive(Clone)]
pub struct HttpGuard {
    once: Once,
    caller: Arc<Caller>,
    is_required: bool,
}

impl Once {
    /// A layer for routes whose requests have an effect: a repeated request is answered with the first answer, and does not
    /// reach the handler. The client marks repetitions by the header
    /// [`Idempotency-Key`](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
    ///
    /// `caller` names the client, by what its credentials prove, such as the id of its account. It is required, because keys
    /// are the clients' choice: without it a client that sends the key of another one would receive that client's answer. If
    /// all clients may see all answers, return the same text for each. An `Err` is the response.
    ///
    /// | request | response |
    /// |---|---|
    /// | of GET, HEAD, OPTIONS or TRACE | that of the handler; the key is ignored |
    /// | with a new key | that of the handler |
    /// | with a known key, to the same method, path and query and with the same body | the stored answer, with `idempotent-replayed: true` |
    /// | with a known key, and a difference | 422 |
    /// | while the first is in progress | 409 with `retry-after` |
    /// | after an interrupted one, with [`OnInterrupted::Refuse`](super::OnInterrupted::Refuse) | 409 |
    /// | with a known key whose answer is too large to store | 409 |
    /// | without a key, unless the guard is [`optional`](HttpGuard::optional) | 400 |
    /// | with two keys, or one that is empty, longer than 255 characters, or not visible ASCII | 400 |
    ///
    /// The key may have the quotes of the draft, or none. Answers with a status below 400 are stored: status, body and the
    /// headers `cache-control`, `content-language`, `content-location`, `content-type`, `etag`, `last-modified`, `link` and
    /// `location`. Others, such as `set-cookie`, are not repeated. After an answer from 400 the next request with this key
    /// reaches the handler; if the handler returned an [`Error`] whose outcome is unknown, only after the lease.
    ///
    /// The bodies of request and answer are read completely, up to the limits of requests and responses. An answer that is
    /// larger than an item is sent once, and cannot be repeated. The answer of work that is done is sent also if it cannot be
    /// stored; that is logged as an error, and a repeated request counts as one after an interrupted one.
    ///
    /// The guard is a layer of `tower`, for a route or a router. In axum's `nest` the path is the one without the prefix.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum::{Router, routing::post};
    /// use http::{HeaderMap, Method};
    /// use http::request::Parts;
    /// use isobar_abstraction::{App, Cloud, Problem, TestClient};
    ///
    /// /// The account that the token belongs to.
    /// fn account(request: &Parts) -> Result<String, Problem> {
    ///     let token = request.headers.get("authorization").and_then(|token| token.to_str().ok());
    ///     token.map(str::to_owned).ok_or_else(|| Problem::unauthorized("send your token"))
    /// }
    ///
    /// fn app(cloud: &Cloud) -> App {
    ///     let paid = cloud.table::<i64>("paid");
    ///     let pay = async move || paid.add("sum", 1).await.map(|number| format!("payment {number}"));
    ///     App::new("shop").http(Router::new().route("/pay", post(pay).layer(cloud.once("payments").http(account))))
    /// }
    ///
    /// let client = TestClient::new(app)?;
    /// let pay = || client.request(Method::POST, "/pay").header("authorization", "ada").header("idempotency-key", "k1");
    /// assert_eq!(pay().send().await?.text(), "payment 1");
    /// let repeated = pay().send().await?;
    /// assert_eq!((repeated.text(), repeated.header("idempotent-replayed")), ("payment 1".into(), Some("true")));
    /// assert_eq!(pay().body("other").send().await?.status, 422);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn http(&self, caller: impl Fn(&Parts) -> Result<String, Problem> + Send + Sync + 'static) -> HttpGuard {
        HttpGuard { once: self.clone(), caller: Arc::new(caller), is_required: true }
    }
}

impl HttpGuard {
    /// Passes requests without a key to the handler, without a guard. Without this they are answered with 400.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { is_required: false, ..self }
    }
}

impl fmt::Debug for HttpGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpGuard").field("once", &self.once).field("is_required", &self.is_required).finish()
    }
}

impl<S> Layer<S> for HttpGuard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A service behind an [`HttpGuard`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    guard: HttpGuard,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone is not ready; the service itself is.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let guard = self.guard.clone();
        Box::pin(async move {
            match guard.before(request).await {
                Ok(Before::Pass(request)) => inner.call(request).await,
                Ok(Before::Run(claim, cx, request)) => {
                    let work = async { Ok(inner.call(request).await) };
                    match guard.once.limited(&cx, &claim.key, work).await {
                        Ok(Ok(response)) => Ok(guard.after(&claim, response).await),
                        Ok(Err(error)) => Err(error),
                        Err(late) => Ok(late.into_response()),
                    }
                }
                Ok(Before::Answered(response)) => Ok(response),
                Err(problem) => Ok(problem.into_response()),
            }
        })
    }
}

enum Before {
    Pass(Request<Body>),
    Run(Claim, Context, Request<Body>),
    Answered(Response),
}

impl HttpGuard {
    async fn before(&self, request: Request<Body>) -> Result<Before, Problem> {
        if request.method().is_safe() {
            return Ok(Before::Pass(request));
        }
        let Some(key) = key_of(request.headers())? else {
            return match self.is_required {
                true => Err(Problem::bad_request("send a new key for each request in the header idempotency-key")),
                false => Ok(Before::Pass(request)),
            };
        };
        let (mut parts, body) = request.into_parts();
        let cx = Context::from_request_parts(&mut parts, &()).await?;
        let key = Key::new((self.caller)(&parts)?, key);
        let limit = self.once.table.resource().limits().request_bytes;
        let body = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Error::new(ErrorKind::TooLarge, format!("the request body is larger than the limit, {limit}")),
            false => Error::invalid_input("the body of the request cannot be read").with_source(error),
        });
        let body = body?.to_bytes();
        let target = parts.extensions.get().map_or(&parts.uri, |OriginalUri(whole)| whole).path_and_query();
        let target = target.map_or("", |target| target.as_str());
        let fingerprint = digest::of_parts(&[parts.method.as_str().as_bytes(), target.as_bytes(), &body]);
        match self.once.start(&cx, key.clone(), Some(fingerprint)).await? {
            Start::Claimed(claim) => {
                parts.extensions.insert(self.once.attempt(&claim));
                Ok(Before::Run(claim, cx, Request::from_parts(parts, body.into())))
            }
            Start::Done(answer) => self.replay(&key, answer).map(Before::Answered),
            Start::InProgress(retry_after) => Err(in_progress(retry_after).into()),
            Start::Interrupted { since_ms } => {
                // The client cannot do what the error says.
                let error = self.once.interrupted(&key, since_ms);
                tracing::warn!(%error, "a repeated request is refused until a person has looked");
                Err(Problem::conflict(
                    "an earlier request with this idempotency-key ended without an answer, and may have had its effect; \
                     do not repeat it with a new key",
                ))
            }
            Start::OtherInput => Err(Problem::unprocessable(
                "this idempotency-key was used for another request; send a new key for each request",
            )),
        }
    }

    /// Stores the answer, or frees the key after one that is an error.
    async fn after(&self, claim: &Claim, response: Response) -> Response {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            if !failure::outcome_unknown(response.extensions()) {
                self.once.release(claim).await;
            }
            return response;
        }
        let limits = self.once.table.resource().limits();
        let (response, answer) = match response.body().size_hint().lower() > limits.item_bytes {
            true => (response, None),
            false => match Answer::read(response, limits.response_bytes).await {
                Ok((response, answer)) => (response, self.once.result_of(&claim.key, &answer)),
                Err(error) => return error.into_response(),
            },
        };
        match self.once.finish(claim, answer).await {
            Ok(Settled::Stored) => response,
            Ok(Settled::Earlier(answer)) => self.replay(&claim.key, answer).unwrap_or_else(IntoResponse::into_response),
            Err(error) => {
                tracing::error!(?error, "the answer is sent, and cannot be repeated");
                response
            }
        }
    }

    fn replay(&self, key: &Key, answer: Option<Box<RawValue>>) -> Result<Response, Problem> {
        let stored = answer.ok_or_else(|| {
            Problem::conflict("the request with this idempotency-key is done, and its answer was too large to store")
        })?;
        let answer: Option<Answer> = serde_json::from_str(stored.get()).ok();
        answer.and_then(Answer::into_response).ok_or_else(|| {
            Problem::from(Error::internal(format!("the record of `{key}` is not one of an answer over HTTP")))
        })
    }
}

/// The key of a client, without the quotes of a string
/// ([RFC 9651, 3.3.3](https://www.rfc-editor.org/rfc/rfc9651#section-3.3.3)). Errors: 400.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).and_then(|text| match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted),
        None => text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",".contains(&byte)).then(|| text.to_owned()),
    });
    let key = key.filter(|key| (1..=LONGEST_KEY).contains(&key.len()) && values.next().is_none());
    key.map(Some).ok_or_else(|| {
        Problem::bad_request("the header idempotency-key must be one key of 1 to 255 visible ASCII characters")
    })
}

/// The text of a string after its first quote; `None` if it does not end with one.
fn unquoted(quoted: &str) -> Option<String> {
    let mut characters = quoted.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            '"' => return None,
            plain => plain,
        });
    }
    Some(text)
}

/// An answer, as it is stored.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Content,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Text(String),
    /// Bytes that are not UTF-8, each as the character of its number.
    Bytes(String),
}

impl Answer {
    /// Reads the body of a response completely. Errors: `Internal` for a body that breaks off, or is over the limit.
    async fn read(response: Response, limit: u64) -> Result<(Response, Self)> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await;
        let broken = |error| Error::internal("the body of the response broke off, or is too large").with_source(error);
        let body = body.map_err(broken)?.to_bytes();
        let content = match std::str::from_utf8(&body) {
            Ok(text) => Content::Text(text.to_owned()),
            Err(_) => Content::Bytes(body.iter().map(|byte| char::from(*byte)).collect()),
        };
        let values = |name| parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let stored = STORED.iter().flat_map(|name| values(name).map(|value| (name.to_string(), value.to_owned())));
        let answer = Self { status: parts.status.as_u16(), headers: stored.collect(), body: content };
        Ok((Response::from_parts(parts, body.into()), answer))
    }

    /// The response; `None` if this is no answer that was stored.
    fn into_response(self) -> Option<Response> {
        let mut response = Response::new(match self.body {
            Content::Text(text) => Body::from(text),
            Content::Bytes(text) => Body::from(text.chars().map(u8::try_from).collect::<Result<Vec<_>, _>>().ok()?),
        });
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        Some(response)
    }
}
