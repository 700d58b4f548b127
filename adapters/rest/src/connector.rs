//! `object_store` on this client.
//!
//! Here one attempt is made; `object_store` repeats it. It knows which requests may be repeated, and
//! goes on where a download broke off. What it cannot know is told through the kind of the error:
//! what the error answers of the service mean ([`Refusals`]), and what may have been applied.
//!
//! A repeated attempt is paid for from the client's retry budget, as all others are, and waits as
//! long as the service has asked for. Where the budget is empty it is not made.

mod attempts;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use isobar_abstraction::{Clock, Error, ErrorKind, current_deadline};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use crate::client::no_time;
use crate::failure::{Again, Failure};
use crate::retry::retry_after;
use crate::stream::StreamBody;
use crate::{Client, Judgement};
use attempts::{Asked, Attempt, Watched};

/// What the error answers of a service mean.
pub trait Refusals: fmt::Debug + Send + Sync + 'static {
    /// The error that an answer is, and whether the request may be made again; `None` where it is no
    /// error, or one that `object_store` must see. Asked for answers that are no success, and for
    /// those that [`hides`](Self::hides) names.
    fn explain(&self, request: &Parts, answer: &Response<Bytes>) -> Option<(Error, Judgement)>;

    /// May the answer to this request be an error although its status is a success?
    fn hides(&self, _request: &Parts) -> bool {
        false
    }
}

/// Hands this client to `object_store`, and brings its errors back from there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreConnector {
    client: Client,
    clock: Arc<dyn Clock>,
    refusals: Arc<dyn Refusals>,
}

/// Of an answer that is looked at whole, no more than this is read.
const LARGEST_REFUSAL: usize = 64 * 1024;

impl StoreConnector {
    /// On this client's pool.
    pub fn new(client: Client, clock: Arc<dyn Clock>, refusals: impl Refusals) -> Self {
        Self { client, clock, refusals: Arc::new(refusals) }
    }

    /// Runs a call of a store, and ends it at the invocation's deadline.
    ///
    /// Errors: those of [`Refusals`] as they were, `Unavailable`, and `Timeout`; with
    /// `outcome_unknown` where an attempt of a write may have been applied.
    pub async fn run<T>(&self, call: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
        let end = self.left().map(|left| self.clock.sleep(left));
        attempts::watch(call, end).await
    }

    /// A stream of a store that only reads, with errors as they were.
    pub fn read<T: 'static>(
        &self,
        stream: BoxStream<'static, object_store::Result<T>>,
    ) -> BoxStream<'static, object_store::Result<T>> {
        Watched::new(stream).boxed()
    }

    /// What is left of the invocation.
    fn left(&self) -> Option<Duration> {
        current_deadline().map(|deadline| deadline.duration_since(self.clock.now()).unwrap_or_default())
    }

    /// Before an attempt: pays for it, if it is one more, and waits as the service has asked for.
    /// What was paid, or the error of the attempt before.
    async fn begin(&self, asked: &Asked) -> Result<u32, Error> {
        let Some(failed) = attempts::failed_before(asked) else { return Ok(0) };
        let wait = failed.not_before.and_then(|until| until.duration_since(self.clock.now()).ok());
        let wait = wait.unwrap_or_default();
        if self.left().is_some_and(|left| left <= wait) {
            return Err(no_time(failed.error));
        }
        if !self.client.take(failed.cost) {
            return Err(failed.error);
        }
        if !wait.is_zero() {
            self.clock.pause(wait).await;
        }
        Ok(failed.cost)
    }

    /// When the service wants to be asked again.
    fn not_before(&self, answer: &Response<Bytes>, judged: Option<Duration>) -> Option<SystemTime> {
        let now = self.clock.now();
        let after = judged.or_else(|| retry_after(answer, now))?;
        now.checked_add(self.client.wait_when_told(after))
    }

    /// No head of an answer came.
    fn unanswered(&self, asked: Asked, attempt: &Attempt, method: &Method, failure: Failure) -> HttpError {
        match failure.again {
            Again::AtOnce => attempts::failed_on_dead_connection(asked, &failure.error),
            Again::Later | Again::Never => attempts::failed(asked, &failure.error, None),
        }
        if failure.sent {
            return broken(method, failure.error);
        }
        attempt.not_applied();
        let again = failure.again != Again::Never;
        HttpError::new(if again { HttpErrorKind::Connect } else { HttpErrorKind::Unknown }, failure.error)
    }

    /// What `object_store` sees of an answer that is an error.
    fn refused(
        &self,
        asked: Asked,
        attempt: &Attempt,
        parts: &Parts,
        answer: Response<Bytes>,
    ) -> Result<HttpResponse, HttpError> {
        let Some((error, judgement)) = self.refusals.explain(parts, &answer) else {
            let status = answer.status();
            if status.is_redirection() || status.is_client_error() {
                attempt.not_applied();
            }
            // Those that `object_store` repeats by itself.
            if status.is_server_error()
                || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
            {
                let error = Error::new(ErrorKind::Unavailable, format!("the service answered {}", status.as_u16()));
                attempts::failed(asked, &error, self.not_before(&answer, None));
            }
            return Ok(answer.map(HttpResponseBody::from));
        };
        let after = match judgement {
            Judgement::Final => None,
            Judgement::Refused { after } => self.not_before(&answer, after),
            Judgement::Failed => self.not_before(&answer, None),
        };
        if judgement != Judgement::Final {
            attempts::failed(asked, &error, after);
        }
        Err(judged(attempt, &parts.method, error, judgement))
    }
}

impl HttpConnector for StoreConnector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for StoreConnector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if self.left().is_some_and(|left| left.is_zero()) {
            let error = Error::new(ErrorKind::Timeout, "the invocation's deadline has passed");
            return Err(HttpError::new(HttpErrorKind::Unknown, error));
        }
        let (parts, body) = request.into_parts();
        let asked = Asked::of(&parts);
        let paid = self.begin(&asked).await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let attempt = Attempt::begin(&parts.method);
        let request = Request::from_parts(parts.clone(), body);
        let response = match self.client.stream(request).await {
            Ok(response) => response,
            Err(failure) => return Err(self.unanswered(asked, &attempt, &parts.method, failure)),
        };
        if response.status().is_success() && !self.refusals.hides(&parts) {
            self.client.succeeded(paid);
            let (method, rest) = (parts.method, asked.rest_of(&response));
            return Ok(response.map(|body| {
                HttpResponseBody::new(body.map_err(move |error| {
                    attempts::failed(rest.clone(), &error, None);
                    broken(&method, error)
                }))
            }));
        }
        let answer = match whole(response).await {
            Ok(answer) => answer,
            Err(error) => {
                attempts::failed(asked, &error, None);
                return Err(broken(&parts.method, error));
            }
        };
        let answer = self.refused(asked, &attempt, &parts, answer)?;
        if answer.status().is_success() {
            self.client.succeeded(paid);
        }
        Ok(answer)
    }
}

/// The whole of an answer that may be an error. What is too long, or breaks off, is told by its status.
async fn whole(response: Response<StreamBody>) -> Result<Response<Bytes>, Error> {
    let (head, body) = response.into_parts();
    let body = match Limited::new(body, LARGEST_REFUSAL).collect().await {
        Ok(body) => body.to_bytes(),
        Err(source) if head.status.is_success() => {
            return Err(Error::new(ErrorKind::Unavailable, "the answer broke off").with_source(source));
        }
        Err(_) => Bytes::new(),
    };
    Ok(Response::from_parts(head, body))
}

/// The error of an attempt of which nobody knows how it ended.
fn broken(method: &Method, error: Error) -> HttpError {
    let kind = match error.kind() {
        // Repeated by RFC 9110, 9.2.2; `object_store` repeats safe methods and those that it names.
        _ if *method == Method::DELETE => HttpErrorKind::Request,
        ErrorKind::Timeout => HttpErrorKind::Timeout,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}

fn judged(attempt: &Attempt, method: &Method, error: Error, judgement: Judgement) -> HttpError {
    match judgement {
        Judgement::Final => {
            attempt.not_applied();
            HttpError::new(HttpErrorKind::Unknown, error)
        }
        Judgement::Refused { .. } => {
            attempt.not_applied();
            HttpError::new(HttpErrorKind::Request, error)
        }
        Judgement::Failed => broken(method, error),
    }
}
