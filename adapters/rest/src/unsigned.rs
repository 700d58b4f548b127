//! Servers that take requests as they are, such as those that give out credentials.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::PutPayload;

use crate::{Call, Client, ClientConfig, Safety, Service, ServiceError, ServiceResult, SystemClock};

/// A server that takes requests as they are. It holds what reads its service errors.
#[derive(Clone, Copy)]
pub struct Unsigned(pub fn(&Response<Bytes>) -> Option<ServiceError>);

impl std::fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsigned")
    }
}

/// By its status alone.
impl Default for Unsigned {
    fn default() -> Self {
        Self(ServiceError::from_status)
    }
}

#[async_trait]
impl Service for Unsigned {
    async fn authorize(&self, _: &mut Parts, _: &PutPayload) -> Result<()> {
        Ok(())
    }

    fn service_error(&self, answer: &Response<Bytes>) -> Option<ServiceError> {
        (self.0)(answer)
    }
}

impl Client {
    /// A client on the machine's clock for what is one hop away: not through a proxy, and not for long.
    pub fn for_metadata_server(config: &ClientConfig, timeout: Duration, attempts: u32) -> Self {
        let mut near = ClientConfig::default();
        near.ca_bundle.clone_from(&config.ca_bundle);
        near.connect_timeout = Duration::from_secs(1);
        near.attempt_timeout = timeout;
        near.max_attempts = attempts;
        Self::new(near, Arc::new(SystemClock))
    }

    /// Asks a server that takes requests as they are for something that may be asked for again.
    /// Errors: those of [`call`](Self::call).
    pub async fn call_unsigned(
        &self,
        operation: &'static str,
        request: Request<PutPayload>,
        server: Unsigned,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        self.call(Call { operation, request, safety: Safety::Read, service: &server }).await
    }
}

impl ServiceError {
    /// The error of a source of credentials, by its status and its code, and nothing else: what it said may
    /// quote what was sent.
    pub fn credential_error(&self, from: &str) -> Error {
        let kind = match self.kind {
            kind @ (ErrorKind::Throttled | ErrorKind::Unavailable) => kind,
            _ => ErrorKind::Unauthenticated,
        };
        let code = if self.code.is_empty() { String::new() } else { format!(": {}", self.code) };
        Error::new(kind, format!("{from} answered with status {}{code}", self.status().as_u16()))
    }
}
