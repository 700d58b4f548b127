//! Requests to one bucket: their URLs and their service errors.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Builder;
use http::{Method, Request, Response, Uri};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::{self, encode, encode_path, encode_query};
use isobar_rest::{Safety, ServiceError, ServiceResult};
use object_store::path::Path;
use object_store::{PutMode, PutPayload};

use super::condition::generation_match;
use super::service_error;
use crate::State;
use crate::config::Endpoint;
use crate::service::GoogleService;

/// Sends requests to one bucket.
#[derive(Debug)]
pub(super) struct GcsRequests {
    pub(super) service: GoogleService,
    pub(super) bucket: String,
}

/// The query parameter that selects the fields of a written object's version.
const VERSION: (&str, &str) = ("fields", "generation,size");

impl GcsRequests {
    pub(super) fn new(state: &Arc<State>, endpoint: Endpoint, bucket: String) -> Self {
        let resource = format!("the bucket `{bucket}` of Cloud Storage");
        Self { service: GoogleService::new(Arc::clone(state), endpoint, resource), bucket }
    }

    pub(super) fn state(&self) -> &Arc<State> {
        self.service.state()
    }

    /// The URL of all objects, in the JSON API.
    pub(super) fn objects_url(&self) -> String {
        self.service.url(&format!("/storage/v1/b/{}/o", self.bucket))
    }

    /// The URL of an object, in the JSON API.
    pub(super) fn url(&self, at: &Path) -> String {
        format!("{}/{}", self.objects_url(), encode(at.as_ref()))
    }

    /// The URL of an object's content, in the XML API and in signed URLs.
    pub(super) fn content_url(&self, at: &Path) -> String {
        self.service.url(&format!("/{}/{}", self.bucket, encode_path(at.as_ref())))
    }

    /// The URL to upload an object. Errors: `Conflict`, for a version that no object can have.
    pub(super) fn upload_url(&self, kind: &str, at: &Path, mode: &PutMode) -> Result<String> {
        let generation = generation_match(mode)?.map(|generation| generation.to_string());
        let mut pairs = vec![("uploadType", kind), ("name", at.as_ref()), VERSION];
        pairs.extend(generation.as_deref().map(|generation| ("ifGenerationMatch", generation)));
        Ok(self.service.url(&format!("/upload/storage/v1/b/{}/o?{}", self.bucket, encode_query(&pairs))))
    }

    /// The origin of all requests: a host named by a response never receives the token.
    pub(super) fn origin(&self) -> Result<String> {
        let wrong = || Error::config(format!("`{}` is not an endpoint", self.service.url("")));
        let uri: Uri = self.service.url("").parse().map_err(|_| wrong())?;
        let (scheme, authority) = (uri.scheme_str().ok_or_else(wrong)?, uri.authority().ok_or_else(wrong)?);
        Ok(format!("{scheme}://{authority}"))
    }

    /// A request for an object, or for one generation of it.
    pub(super) fn request(&self, method: Method, at: &Path, generation: Option<i64>) -> Builder {
        let generation = generation.map(|generation| format!("?generation={generation}")).unwrap_or_default();
        Request::builder().method(method).uri(format!("{}{generation}", self.content_url(at)))
    }

    pub(super) async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: PutPayload,
    ) -> Result<ServiceResult<Response<Bytes>>> {
        self.service.call(operation, safety, self.ready(request, body)?).await
    }

    pub(super) fn ready(&self, request: Builder, body: PutPayload) -> Result<Request<PutPayload>> {
        object::build_request(request, body, &self.service.url(""))
    }

    pub(super) fn error(&self, mode: &PutMode, service_error: &ServiceError) -> Error {
        service_error::error(&self.bucket, mode, service_error)
    }

    pub(super) fn error_of_write(&self, mode: &PutMode, service_error: &ServiceError) -> Error {
        service_error::error_of_write(&self.bucket, mode, service_error)
    }
}
