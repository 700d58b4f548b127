//! Requests that `object_store`'s client for S3 does not make.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Builder;
use http::{Request, Response};
use isobar_abstraction::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Answer, Call, Judgement, Refusals, Safety, Service};
use object_store::aws::AwsAuthorizer;
use object_store::client::HttpRequestBody;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{PutMode, PutResult};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::listing;
use super::refusal::S3Refusals;
use super::store::numbered;
use crate::State;

/// One bucket, as it is asked.
#[derive(Debug, Clone)]
pub(super) struct S3Requests {
    state: Arc<State>,
    /// What stands before the keys in URLs, without the slash.
    base: String,
    region: String,
    refusals: S3Refusals,
}

/// Characters that stand in URLs as they are, beside letters and digits: what SigV4 has.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = QUERY.remove(b'/');

/// `name=value&…`, encoded.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &QUERY)));
    pairs.collect::<Vec<_>>().join("&")
}

impl S3Requests {
    pub(super) fn new(state: Arc<State>, base: String, region: String, refusals: S3Refusals) -> Self {
        Self { state, base, region, refusals }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    pub(super) async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let url = format!("{}?{}", self.base, listing::query(request));
        let answer = self.send("ListObjectsV2", Safety::Read, Request::get(url), Bytes::new()).await?;
        listing::read(request, answer.body())
    }

    /// Makes an object of the parts of an upload.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by `mode`; after a `Conflict` the upload must be made anew.
    pub(super) async fn complete(&self, at: &Path, id: &str, parts: &[PartId], mode: &PutMode) -> Result<PutResult> {
        let key = utf8_percent_encode(at.as_ref(), &PATH);
        let url = format!("{}/{key}?{}", self.base, query(&[("uploadId", id)]));
        let request = Request::post(url).header(CONTENT_TYPE, "application/xml");
        let request = match mode {
            PutMode::Overwrite => request,
            PutMode::Create => request.header("if-none-match", "*"),
            PutMode::Update(version) => request.header("if-match", version.e_tag.as_deref().unwrap_or_default()),
        };
        let answer = self.send("CompleteMultipartUpload", Safety::Idempotent, request, part_list(parts)).await?;
        let wrong = |error| Error::internal("S3 completed a multipart write without a word").with_source(error);
        let completed: Completed = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        let version = answer.headers().get("x-amz-version-id").and_then(|version| version.to_str().ok());
        let version = numbered(version.map(str::to_owned));
        Ok(PutResult { e_tag: Some(completed.e_tag), version, extensions: Default::default() })
    }

    async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: Bytes,
    ) -> Result<Response<Bytes>> {
        let wrong = |error| Error::config(format!("`{}` is not an endpoint", self.base)).with_source(error);
        let request = request.body(body).map_err(wrong)?;
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let Answer { response, uncertain } =
            self.state.client.call(Call { operation, request, safety, service: self }).await?;
        match self.refusals.explain(&parts, &response) {
            Some((error, _)) if uncertain => Err(error.with_outcome_unknown()),
            Some((error, _)) => Err(error),
            None => Ok(response),
        }
    }
}

#[async_trait]
impl Service for S3Requests {
    async fn authorize(&self, request: Request<Bytes>) -> Result<Request<Bytes>> {
        let credential = self.state.credentials.get().await?;
        let (parts, body) = request.into_parts();
        let mut request = Request::from_parts(parts, HttpRequestBody::from(body.clone()));
        let signed = AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None);
        signed.map_err(|error| Error::internal("the request cannot be signed").with_source(error))?;
        Ok(request.map(|_| body))
    }

    fn judge(&self, answer: &Response<Bytes>) -> Judgement {
        self.refusals.judge(answer)
    }
}

#[derive(Deserialize)]
struct Completed {
    #[serde(rename = "ETag")]
    e_tag: String,
}

/// The parts of an upload in their order. Their ETags are S3's own.
fn part_list(parts: &[PartId]) -> Bytes {
    let mut xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for (number, part) in (1..).zip(parts) {
        let e_tag = quick_xml::escape::escape(part.content_id.as_str());
        // Writing to a string does not fail.
        let _ = write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{e_tag}</ETag></Part>");
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml.into()
}
