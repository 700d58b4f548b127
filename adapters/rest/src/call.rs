//! What an adapter says of a call: the request, whether it may be repeated, and the service it is for.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::Result;
use object_store::PutPayload;

use crate::stream::StreamBody;

/// What happens if a call is made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Nothing: it only reads. It is repeated, and its outcome is never unknown.
    Read,
    /// Nothing more than if it is made once: it is repeated, also when nobody knows whether it was applied.
    Idempotent,
    /// It would be applied twice: repeated only where it is known that it was not applied.
    Once,
}

/// One call of a service.
pub struct Call<'a> {
    /// The service's own name of the operation, for spans and errors, such as `GetItem`.
    pub operation: &'static str,
    /// The request, not yet signed. Its URI is absolute. The body may lie in pieces, and is not copied.
    pub request: Request<PutPayload>,
    /// What happens if it is made twice.
    pub safety: Safety,
    /// Who signs it, and judges the answers.
    pub service: &'a dyn Service,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.request.uri().path())
    }
}

/// A service as the client knows it.
#[async_trait]
pub trait Service: Send + Sync {
    /// Signs a request, or gives it its token. Called anew for each attempt, since signatures grow old.
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()>;

    /// Is this answer the last word?
    fn judge(&self, response: &Response<Bytes>) -> Judgement;
}

/// What to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing: a success, or an error that will not go away.
    Final,
    /// The service did nothing and asks for patience: a throttled or refused request.
    Refused {
        /// How long the service asks to wait, where it says so in another place than `Retry-After`.
        after: Option<Duration>,
    },
    /// The service failed, and may have done what it was asked for.
    Failed,
}

/// The last answer of a service. `Debug` shows neither its headers nor its body, which may hold secrets.
pub struct Answer {
    /// The answer, whole. Where retries are used up it is the one that asked for a retry.
    pub response: Response<Bytes>,
    /// May an attempt whose answer never came, or was a failure, have been applied?
    ///
    /// An adapter that turns the answer into an error of a write must then say so with
    /// [`with_outcome_unknown`](isobar_abstraction::Error::with_outcome_unknown).
    pub uncertain: bool,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { response, uncertain } = self;
        let mut answer = f.debug_struct("Answer");
        answer.field("status", &response.status()).field("bytes", &response.body().len());
        answer.field("uncertain", uncertain).finish()
    }
}

/// What [`Client::open`](crate::Client::open) gives.
#[derive(Debug)]
pub enum Opened {
    /// A success, whose body is read as it comes.
    Stream(Response<StreamBody>),
    /// Anything else: whole, and judged.
    Refused(Answer),
}
