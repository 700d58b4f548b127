//! Signed calls: each attempt has a new signature, and expired credentials cause one more attempt.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar_abstraction::Result;
use isobar_rest::{Call, Safety, Service, ServiceError, ServiceResult, StreamBody};
use object_store::PutPayload;
use parking_lot::Mutex;

use super::sign::Signer;
use crate::State;
use crate::config::Credential;
use crate::service_error::is_expired;

/// Reads the service error of a response, if it is one.
pub(crate) type Read<'a> = &'a (dyn Fn(&Response<Bytes>) -> Option<ServiceError> + Send + Sync);

/// One service in one region, for one call.
pub(crate) struct Signed<'a> {
    state: &'a State,
    name: &'a str,
    region: &'a str,
    read: Read<'a>,
    /// The credentials of the last attempt.
    used: Mutex<Option<Arc<Credential>>>,
}

impl<'a> Signed<'a> {
    /// `name` is the service's name in signatures.
    pub(crate) fn new(state: &'a State, name: &'a str, region: &'a str, read: Read<'a>) -> Self {
        Self { state, name, region, read, used: Mutex::default() }
    }

    /// Makes a call; see [`isobar_rest::Client::call`].
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Request<PutPayload>,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        self.state.client.call(Call { operation, request, safety, service: self }).await
    }

    /// Makes a call that only reads; see [`isobar_rest::Client::open`].
    pub(crate) async fn open(
        &self,
        operation: &'static str,
        request: Request<PutPayload>,
    ) -> Result<ServiceResult<Response<StreamBody>>> {
        self.state.client.open(Call { operation, request, safety: Safety::Read, service: self }).await
    }
}

#[async_trait]
impl Service for Signed<'_> {
    async fn authorize(&self, request: &mut Parts, body: &PutPayload) -> Result<()> {
        let credential = self.state.credentials.get().await?;
        // AWS compares with real time, so the app's clock is not used.
        Signer::new(&credential, self.name, self.region, SystemTime::now()).sign(request, body)?;
        *self.used.lock() = Some(credential);
        Ok(())
    }

    fn service_error(&self, answer: &Response<Bytes>) -> Option<ServiceError> {
        (self.read)(answer)
    }

    async fn renew(&self, service_error: &ServiceError) -> bool {
        is_expired(service_error) && self.used.lock().as_ref().is_some_and(|used| self.state.credentials.reject(used))
    }
}
