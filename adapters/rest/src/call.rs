//! What an adapter says of a call: the request, whether it may be repeated, and the service it is for.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::Result;
use object_store::PutPayload;

use crate::service_error::ServiceError;

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
    /// Who signs it, and reads the answers.
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

    /// Reads what an answer refuses; `None` of a success. Called once per answer.
    fn service_error(&self, answer: &Response<Bytes>) -> Option<ServiceError>;

    /// Does this service error, which is the last word, end with other credentials, and are there others? Then
    /// the call is made once more.
    async fn renew(&self, _service_error: &ServiceError) -> bool {
        false
    }
}
