//! A call as an adapter describes it: the request, whether it may be repeated, and the service.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::Result;
use object_store::PutPayload;

use crate::service_error::ServiceError;

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// The call only reads. It is repeated, and its outcome is never unknown.
    Read,
    /// Two calls have the effect of one. It is repeated, also where it is unknown whether it was applied.
    Idempotent,
    /// Two calls are applied twice. It is repeated only where it was certainly not applied.
    Once,
}

/// One call of a service.
pub struct Call<'a> {
    /// The service's own name of the operation, for spans and errors, such as `GetItem`.
    pub operation: &'static str,
    /// The request, not yet signed. Its URI is absolute. The body may consist of several parts and is not copied.
    pub request: Request<PutPayload>,
    /// Whether it may be made twice.
    pub safety: Safety,
    /// The service, which signs the request and reads the responses.
    pub service: &'a dyn Service,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.request.uri().path())
    }
}

/// A service: how its requests are signed and its errors are read.
#[async_trait]
pub trait Service: Send + Sync {
    /// Signs a request, or adds its token. Called again for each attempt, since signatures expire.
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()>;

    /// The service error of a response; `None` for a success. Called once per response.
    fn service_error(&self, response: &Response<Bytes>) -> Option<ServiceError>;

    /// Whether a final service error may succeed with other credentials, and such credentials were found. The call is
    /// then made once more.
    async fn renew(&self, _service_error: &ServiceError) -> bool {
        false
    }
}
