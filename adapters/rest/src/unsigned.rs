//! Servers that require no signature, such as those of credentials.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::PutPayload;

use crate::{Call, Client, ClientConfig, Safety, Service, ServiceError, ServiceResult, SystemClock};

/// A server that requires no signature, with the function that reads its service errors.
#[derive(Clone, Copy)]
pub struct Unsigned(pub fn(&Response<Bytes>) -> Option<ServiceError>);

impl std::fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unsigned")
    }
}

// Reads service errors by their status alone.
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
    /// A client for metadata servers on the machine's clock: without a proxy and with a connect timeout of 1 s.
    pub fn for_metadata_server(config: &ClientConfig, timeout: Duration, attempts: u32) -> Self {
        let mut config_for_metadata = ClientConfig::default();
        config_for_metadata.ca_bundle.clone_from(&config.ca_bundle);
        config_for_metadata.connect_timeout = Duration::from_secs(1);
        config_for_metadata.attempt_timeout = timeout;
        config_for_metadata.max_attempts = attempts;
        Self::new(config_for_metadata, Arc::new(SystemClock))
    }

    /// Makes a call that may be repeated, without a signature.
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
    /// The error of a source of credentials, with its status and code only: its message may quote the secrets of the
    /// request.
    pub fn credential_error(&self, from: &str) -> Error {
        let kind = match self.kind {
            kind @ (ErrorKind::Throttled | ErrorKind::Unavailable) => kind,
            _ => ErrorKind::Unauthenticated,
        };
        let code = if self.code.is_empty() { String::new() } else { format!(": {}", self.code) };
        Error::new(kind, format!("{from} answered with status {}{code}", self.status().as_u16()))
    }
}
