//! The requests to one bucket: their URLs, signatures and service errors.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Builder;
use http::{Method, Request, Response};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{self, encode_path, encode_query};
use isobar_rest::{Safety, ServiceError};
use object_store::path::Path;
use object_store::{PutMode, PutPayload};

use super::service_error;
use crate::State;
use crate::service::signed::{Read, Signed};

/// The requests to one bucket.
#[derive(Debug)]
pub(super) struct S3Requests {
    pub(super) state: Arc<State>,
    pub(super) bucket: String,
    /// The part of URLs before the key, without the slash.
    pub(super) base: String,
    pub(super) region: String,
}

impl S3Requests {
    /// The URL of an object.
    pub(super) fn url(&self, at: &Path) -> String {
        format!("{}/{}", self.base, encode_path(at.as_ref()))
    }

    /// A request for an object or its metadata.
    pub(super) fn request(&self, method: Method, at: &Path, version: Option<&str>) -> Builder {
        let version =
            version.map(|version| format!("?{}", encode_query(&[("versionId", version)]))).unwrap_or_default();
        Request::builder().method(method).uri(format!("{}{version}", self.url(at)))
    }

    /// The value of `x-amz-copy-source` for an object.
    pub(super) fn source(&self, from: &Path) -> String {
        format!("/{}/{}", self.bucket, encode_path(from.as_ref()))
    }

    pub(super) fn ready(&self, request: Builder, body: PutPayload) -> Result<Request<PutPayload>> {
        object::build_request(request, body, &self.base)
    }

    /// Sends a request that only reads.
    pub(super) async fn read(&self, operation: &'static str, request: Builder) -> Result<Response<Bytes>> {
        let request = self.ready(request, PutPayload::new())?;
        let answer = self.signed(&service_error::read).call(operation, Safety::Read, request).await?;
        answer.map_err(|service_error| self.error(&service_error, &PutMode::Overwrite))
    }

    /// Sends a write under the condition `mode`.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        request: Builder,
        body: PutPayload,
        mode: &PutMode,
    ) -> Result<Response<Bytes>> {
        let request = self.ready(object::add_precondition(request, mode), body)?;
        let answer = self.signed(&service_error::read).call(operation, Safety::Idempotent, request).await?;
        answer.map_err(|service_error| self.error(&service_error, mode))
    }

    pub(super) fn signed<'a>(&'a self, read: Read<'a>) -> Signed<'a> {
        Signed::new(&self.state, "s3", &self.region, read)
    }

    pub(super) fn error(&self, service_error: &ServiceError, mode: &PutMode) -> Error {
        service_error.mark_uncertain(service_error::rejection(service_error, &self.bucket, &self.region).error(mode))
    }
}
