//! How S3 is asked for an object, and what it answers.

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts as Asked;
use http::response::Parts;
use http::{Method, Response, StatusCode};
use isobar_abstraction::Result;
use isobar_rest::object::{self, ObjectHead, ObjectSource, text};
use isobar_rest::{Client, Refusal, Safety, StreamBody};
use object_store::path::Path;
use object_store::{GetOptions, PutPayload};

use super::headers;
use super::refusal;
use super::requests::S3Requests;
use super::store::numbered;

#[async_trait]
impl ObjectSource for S3Requests {
    const SERVICE: &'static str = "S3";

    fn client(&self) -> &Client {
        &self.state.client
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let request = self.request(Method::HEAD, at, options.version.as_deref());
        let (request, asked) = self.ready(object::ask(request, options), PutPayload::new())?;
        let answer = self.signed(&refusal::read).call("HeadObject", Safety::Read, request).await?;
        answer.map_err(|refusal| self.refused(at, &asked, refusal))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let request = self.request(Method::GET, at, options.version.as_deref());
        let (request, asked) = self.ready(object::ask(request, options), PutPayload::new())?;
        let answer = self.signed(&refusal::read).open("GetObject", request).await?;
        answer.map_err(|refusal| self.refused(at, &asked, refusal))
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        let mut head = ObjectHead::read(Self::SERVICE, at, answer, headers::METADATA)?;
        head.meta.version = numbered(text(&answer.headers, "x-amz-version-id").map(str::to_owned));
        headers::complete(&mut head.attributes, &answer.headers);
        Ok(head)
    }
}

impl S3Requests {
    /// What the answer to a read means that is no success.
    fn refused(&self, at: &Path, asked: &Asked, refusal: Refusal) -> object_store::Error {
        match refusal.status() {
            StatusCode::NOT_MODIFIED => object::not_modified(at),
            _ => self.refusals.error(asked, refusal).into(),
        }
    }
}
