//! The requests to one container: where they go, and what their refusals are.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{self, encoded_path};
use isobar_rest::{Refusal, Safety};
use object_store::path::Path;
use object_store::{PutMode, PutPayload};

use super::refusal::{self, BlobRefusals};
use crate::State;
use crate::config::StorageAccount;
use crate::service::AzureService;

/// One container, as it is asked.
#[derive(Debug)]
pub(super) struct BlobRequests {
    pub(super) state: Arc<State>,
    pub(super) account: StorageAccount,
    pub(super) container: String,
    refusals: BlobRefusals,
    pub(super) service: AzureService,
}

impl BlobRequests {
    pub(super) fn new(state: Arc<State>, account: StorageAccount, container: String) -> Self {
        let refusals = BlobRefusals::new(&account, &container);
        let service = AzureService::blobs(&state, &account, refusal::read, refusals.place());
        Self { state, account, container, refusals, service }
    }

    /// Of the container.
    pub(super) fn base(&self) -> String {
        format!("{}/{}", self.account.blob, self.container)
    }

    /// Of an object.
    pub(super) fn url(&self, at: &Path) -> String {
        format!("{}/{}", self.base(), encoded_path(at.as_ref()))
    }

    /// Sends what only reads.
    pub(super) async fn ask(
        &self,
        operation: &'static str,
        request: Builder,
        body: PutPayload,
    ) -> Result<Response<Bytes>> {
        let answer = self.service.send(operation, Safety::Read, self.ready(request, body)?).await?;
        answer.map_err(|refusal| self.error(&refusal, &PutMode::Overwrite))
    }

    /// Sends a write that is to meet `mode`. Under a condition it is made once: made again, it would meet itself.
    pub(super) async fn write(
        &self,
        operation: &'static str,
        request: Builder,
        body: PutPayload,
        mode: &PutMode,
    ) -> Result<Response<Bytes>> {
        let safety = if *mode == PutMode::Overwrite { Safety::Idempotent } else { Safety::Once };
        let request = self.ready(object::conditional(request, mode), body)?;
        let answer = self.service.send(operation, safety, request).await?;
        answer.map_err(|refusal| self.error(&refusal, mode))
    }

    pub(super) fn ready(&self, request: Builder, body: PutPayload) -> Result<Request<PutPayload>> {
        object::request(request, body, &self.base())
    }

    pub(super) fn error(&self, refusal: &Refusal, mode: &PutMode) -> Error {
        refusal.as_error(self.refusals.refused(refusal).error(mode))
    }
}
