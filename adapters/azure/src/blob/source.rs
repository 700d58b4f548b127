//! How Blob Storage is asked for an object, and what it answers.

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts as Asked;
use http::response::Parts;
use http::{Method, Request, Response, StatusCode};
use isobar_abstraction::{Error, Origin, Result};
use isobar_rest::object::{self, ObjectHead, ObjectSource, text};
use isobar_rest::{Client, Refusal, Safety, StreamBody};
use object_store::path::Path;
use object_store::{GetOptions, PutPayload};

use super::requests::BlobRequests;
use super::{encoded, headers};

#[async_trait]
impl ObjectSource for BlobRequests {
    const SERVICE: &'static str = "Blob Storage";

    fn client(&self) -> &Client {
        &self.state.client
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-blob-properties>
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let (request, asked) = self.read(Method::HEAD, at, options)?;
        let answer = self.service.send("GetBlobProperties", Safety::Read, request).await?;
        answer.map_err(|refusal| self.refused(at, &asked, refusal))
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-blob>
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let (request, asked) = self.read(Method::GET, at, options)?;
        let answer = self.service.open("GetBlob", request).await?;
        answer.map_err(|refusal| self.refused(at, &asked, refusal))
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        // A hierarchical account has folders, which lists pass over.
        if text(&answer.headers, "x-ms-resource-type").is_some_and(|kind| kind != "file") {
            return Err(Error::not_found("no such object, but a folder of this name").with_origin(Origin::Data));
        }
        // Versions are numbers that lists do not tell, and that no condition takes: none is told.
        let head = ObjectHead::read(Self::SERVICE, at, answer, headers::METADATA)?;
        Ok(ObjectHead { attributes: headers::untyped(head.attributes), ..head })
    }
}

impl BlobRequests {
    fn read(&self, method: Method, at: &Path, options: &GetOptions) -> Result<(Request<PutPayload>, Asked)> {
        let version = options.version.as_deref();
        let version = version.map(|version| format!("?{}", encoded::query(&[("versionid", version)])));
        let url = format!("{}{}", self.url(at), version.unwrap_or_default());
        self.ready(object::ask(Request::builder().method(method).uri(url), options), PutPayload::new())
    }

    /// What the answer to a read means that is no success.
    fn refused(&self, at: &Path, asked: &Asked, refusal: Refusal) -> object_store::Error {
        match refusal.status() {
            StatusCode::NOT_MODIFIED => object::not_modified(at),
            _ => self.refusals.error(asked, refusal).into(),
        }
    }
}
