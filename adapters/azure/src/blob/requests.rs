//! The requests to one container: their URLs and their errors.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{self, encode_path};
use isobar_rest::{Safety, ServiceError};
use object_store::path::Path;
use object_store::{PutMode, PutPayload};

use super::service_error::{self, BlobErrors};
use crate::State;
use crate::config::StorageAccount;
use crate::service::AzureService;

/// The requests to one container.
#[derive(Debug)]
pub(super) struct BlobRequests {
    pub(super) state: Arc<State>,
    pub(super) account: StorageAccount,
    pub(super) container: String,
    service_errors: BlobErrors,
    pub(super) service: AzureService,
}

impl BlobRequests {
    pub(super) fn new(state: Arc<State>, account: StorageAccount, container: String) -> Self {
        let service_errors = BlobErrors::new(&account, &container);
        let service = AzureService::blobs(&state, &account, service_error::read, service_errors.place());
        Self { state, account, container, service_errors, service }
    }

    /// The URL of the container.
    pub(super) fn base(&self) -> String {
        format!("{}/{}", self.account.blob, self.container)
    }

    /// The URL of an object.
    pub(super) fn url(&self, at: &Path) -> String {
        format!("{}/{}", self.base(), encode_path(at.as_ref()))
    }

    /// Sends a request that only reads.
    pub(super) async fn ask(
        &self,
        operation: &'static str,
        request: Builder,
        body: PutPayload,
    ) -> Result<Response<Bytes>> {
        let answer = self.service.send(operation, Safety::Read, self.ready(request, body)?).await?;
        answer.map_err(|service_error| self.error(&service_error, &PutMode::Overwrite))
    }

    /// Sends a write with the condition of `mode`. A conditional write is not repeated: the second attempt would find
    /// the first one's object.
    pub(super) async fn write(
        &self,
        operation: &'static str,
        request: Builder,
        body: PutPayload,
        mode: &PutMode,
    ) -> Result<Response<Bytes>> {
        let safety = if *mode == PutMode::Overwrite { Safety::Idempotent } else { Safety::Once };
        let request = self.ready(object::add_precondition(request, mode), body)?;
        let answer = self.service.send(operation, safety, request).await?;
        answer.map_err(|service_error| self.error(&service_error, mode))
    }

    pub(super) fn ready(&self, request: Builder, body: PutPayload) -> Result<Request<PutPayload>> {
        object::build_request(request, body, &self.base())
    }

    pub(super) fn error(&self, service_error: &ServiceError, mode: &PutMode) -> Error {
        service_error.mark_uncertain(self.service_errors.object_error(service_error).error(mode))
    }
}
