//! `object_store` on this client.
//!
//! Here one attempt is made; `object_store` repeats it. It knows which requests may be repeated, and
//! goes on where a download broke off. What it cannot know is told through the kind of the error:
//! what the error answers of the service mean ([`Refusals`]), and what may have been applied.

mod attempts;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use isobar_abstraction::{Clock, Error, ErrorKind, current_deadline};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use crate::failure::Again;
use crate::stream::StreamBody;
use crate::{Client, Judgement};
use attempts::Attempt;

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
        let left = current_deadline().map(|deadline| deadline.duration_since(self.clock.now()).unwrap_or_default());
        let end = left.map(|left| self.clock.sleep(left));
        attempts::watch(call, end).await
    }

    /// A stream of a store that only reads, with errors as they were.
    pub fn read<T: 'static>(
        &self,
        stream: BoxStream<'static, object_store::Result<T>>,
    ) -> BoxStream<'static, object_store::Result<T>> {
        stream.map(|item| item.map_err(attempts::ours)).boxed()
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
        if current_deadline().is_some_and(|deadline| deadline <= self.clock.now()) {
            let error = Error::new(ErrorKind::Timeout, "the invocation's deadline has passed");
            return Err(HttpError::new(HttpErrorKind::Unknown, error));
        }
        let (parts, body) = request.into_parts();
        let attempt = Attempt::begin(&parts.method);
        let request = Request::from_parts(parts.clone(), body);
        let response = self.client.stream(request).await.map_err(|failure| {
            if failure.sent {
                return broken(&parts.method, failure.error);
            }
            attempt.not_applied();
            let again = failure.again != Again::Never;
            HttpError::new(if again { HttpErrorKind::Connect } else { HttpErrorKind::Unknown }, failure.error)
        })?;
        if response.status().is_success() && !self.refusals.hides(&parts) {
            let method = parts.method;
            return Ok(response.map(|body| HttpResponseBody::new(body.map_err(move |error| broken(&method, error)))));
        }
        let answer = whole(&parts.method, response).await?;
        match self.refusals.explain(&parts, &answer) {
            None => {
                if answer.status().is_redirection() || answer.status().is_client_error() {
                    attempt.not_applied();
                }
                Ok(answer.map(HttpResponseBody::from))
            }
            Some((error, judgement)) => Err(refused(&attempt, &parts.method, error, judgement)),
        }
    }
}

/// The whole of an answer that may be an error. What is too long, or breaks off, is told by its status.
async fn whole(method: &Method, response: Response<StreamBody>) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = response.into_parts();
    let body = match Limited::new(body, LARGEST_REFUSAL).collect().await {
        Ok(body) => body.to_bytes(),
        Err(source) if head.status.is_success() => {
            return Err(broken(method, Error::new(ErrorKind::Unavailable, "the answer broke off").with_source(source)));
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

fn refused(attempt: &Attempt, method: &Method, error: Error, judgement: Judgement) -> HttpError {
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
