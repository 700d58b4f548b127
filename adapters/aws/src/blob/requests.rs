//! The requests to one bucket.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::request::{Builder, Parts};
use http::{Method, Request, Response};
use isobar_abstraction::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use isobar_rest::object::text;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{PutMode, PutPayload, PutResult, TagSet, UpdateVersion};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use super::listing::{self, Read};
use super::refusal::{self, S3Refusals};
use super::store::numbered;
use crate::State;
use crate::service::sign::{PATH, Signer, query};
use crate::service::signed::{Read as ReadRefusal, Signed};

/// One bucket, as it is asked.
#[derive(Debug, Clone)]
pub(super) struct S3Requests {
    pub(super) state: Arc<State>,
    bucket: String,
    /// What stands before the keys in URLs, without the slash.
    base: String,
    region: String,
    pub(super) refusals: S3Refusals,
}

impl S3Requests {
    pub(super) fn new(state: Arc<State>, bucket: String, base: String, region: String) -> Self {
        let refusals = S3Refusals::new(&bucket, &region);
        Self { state, bucket, base, region, refusals }
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    fn url(&self, at: &Path) -> String {
        format!("{}/{}", self.base, utf8_percent_encode(at.as_ref(), PATH))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    pub(super) async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let first = format!("{}?{}", self.base, listing::query(request));
        let mut url = first.clone();
        loop {
            let answer = self.send("ListObjectsV2", Safety::Read, Request::get(url), PutPayload::new()).await?;
            match listing::read(request, answer.body())? {
                Read::Page(listing) => return Ok(listing),
                Read::Empty(token) => url = format!("{first}&{}", query(&[("continuation-token", &token)])),
            }
        }
    }

    /// A request for an object, or for what is known of it.
    pub(super) fn request(&self, method: Method, at: &Path, version: Option<&str>) -> Builder {
        let version = version.map(|version| format!("?{}", query(&[("versionId", version)]))).unwrap_or_default();
        Request::builder().method(method).uri(format!("{}{version}", self.url(at)))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
    pub(super) async fn put(&self, request: Builder, body: PutPayload, mode: &PutMode) -> Result<PutResult> {
        let answer = self.send("PutObject", Safety::Idempotent, under(request, mode), body).await?;
        written(&answer, None)
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>
    pub(super) async fn delete(&self, at: &Path) -> Result<()> {
        let request = self.request(Method::DELETE, at, None);
        self.send("DeleteObject", Safety::Idempotent, request, PutPayload::new()).await.map(drop)
    }

    /// Copies an object, whose answer ends only when the copy is done. S3 takes at most 5 GiB.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
    pub(super) async fn copy(&self, from: &Path, to: &Path, mode: PutMode) -> Result<()> {
        let request = self.request(Method::PUT, to, None).header("x-amz-copy-source", self.source(from));
        // It begins its answer before it is done: an error may come behind a success.
        self.send("CopyObject", Safety::Idempotent, under(request, &mode), PutPayload::new()).await.map(drop)
    }

    /// Begins an upload, and answers its id. Begun twice, one is left over.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
    pub(super) async fn begin(&self, request: Builder) -> Result<String> {
        let answer = self.send("CreateMultipartUpload", Safety::Idempotent, request, PutPayload::new()).await?;
        let wrong = |error| Error::internal("S3 began a multipart write without its id").with_source(error);
        let begun: Begun = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        Ok(begun.upload_id)
    }

    /// The request that begins an upload.
    pub(super) fn beginning(&self, at: &Path) -> Builder {
        Request::post(format!("{}?uploads=", self.url(at)))
    }

    /// Sends part `number`, counted from 1. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>
    pub(super) async fn put_part(&self, at: &Path, id: &str, number: usize, body: PutPayload) -> Result<PartId> {
        let number = number.to_string();
        let url = format!("{}?{}", self.url(at), query(&[("partNumber", &number), ("uploadId", id)]));
        let answer = self.send("UploadPart", Safety::Idempotent, Request::put(url), body).await?;
        let tag = text(answer.headers(), ETAG).ok_or_else(|| Error::internal("S3 took a part without an ETag"))?;
        Ok(PartId { content_id: tag.to_owned() })
    }

    /// Makes part `number` of bytes of another object, if that still has this ETag.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
    pub(super) async fn copy_part(
        &self,
        at: &Path,
        id: &str,
        number: usize,
        from: (&Path, &str),
        bytes: Range<u64>,
    ) -> Result<PartId> {
        let number = number.to_string();
        let url = format!("{}?{}", self.url(at), query(&[("partNumber", &number), ("uploadId", id)]));
        let request = Request::put(url)
            .header("x-amz-copy-source", self.source(from.0))
            .header("x-amz-copy-source-if-match", from.1)
            .header("x-amz-copy-source-range", format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1)));
        let answer = self.send("UploadPartCopy", Safety::Idempotent, request, PutPayload::new()).await?;
        let wrong = |error| Error::internal("S3 copied a part without an ETag").with_source(error);
        let copied: Tagged = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        Ok(PartId { content_id: copied.e_tag })
    }

    /// The tags of an object. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html>
    pub(super) async fn tags(&self, at: &Path) -> Result<TagSet> {
        let request = Request::get(format!("{}?tagging=", self.url(at)));
        let answer = self.send("GetObjectTagging", Safety::Read, request, PutPayload::new()).await?;
        let wrong = |error| Error::internal("S3 answered no tags").with_source(error);
        let tagging: Tagging = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        let mut tags = TagSet::default();
        tagging.tag_set.tag.iter().for_each(|tag| tags.push(&tag.key, &tag.value));
        Ok(tags)
    }

    /// An object that is copied.
    fn source(&self, from: &Path) -> String {
        format!("/{}/{}", self.bucket, utf8_percent_encode(from.as_ref(), PATH))
    }

    /// Makes an object of the parts of an upload.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by `mode`; after a `Conflict` the upload must be made anew.
    pub(super) async fn complete(&self, at: &Path, id: &str, parts: &[PartId], mode: &PutMode) -> Result<PutResult> {
        let url = format!("{}?{}", self.url(at), query(&[("uploadId", id)]));
        let request = under(Request::post(url).header(CONTENT_TYPE, "application/xml"), mode);
        let (request, asked) = self.ready(request, part_list(parts))?;
        let signed = self.signed(&refusal::read_completion);
        let answer = signed.call("CompleteMultipartUpload", Safety::Idempotent, request).await?;
        let answer = answer.map_err(|refusal| self.refusals.error(&asked, refusal))?;
        // It answered with a success: the object is there, perhaps.
        let wrong = |error| {
            Error::internal("S3 completed a multipart write without a word").with_source(error).with_outcome_unknown()
        };
        let completed: Tagged = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        written(&answer, Some(completed.e_tag))
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
    pub(super) async fn abort(&self, at: &Path, id: &str) -> Result<()> {
        let request = Request::delete(format!("{}?{}", self.url(at), query(&[("uploadId", id)])));
        self.send("AbortMultipartUpload", Safety::Idempotent, request, PutPayload::new()).await.map(drop)
    }

    /// A URL that is good for whoever holds it. Only the host is signed, so that they may send any
    /// content type.
    pub(super) async fn presign(&self, method: Method, at: &Path, expires_in: Duration) -> Result<String> {
        let credential = self.state.credentials.get().await?;
        let (request, _) = self.ready(self.request(method, at, None), PutPayload::new())?;
        let signer = Signer::new(&credential, "s3", &self.region, SystemTime::now());
        let query = signer.presign(&mut request.into_parts().0, expires_in)?;
        Ok(format!("{}?{query}", self.url(at)))
    }

    pub(super) fn signed<'a>(&'a self, read: ReadRefusal<'a>) -> Signed<'a> {
        Signed::new(&self.state, "s3", &self.region, read)
    }

    /// The request, and what of it tells the meaning of an answer.
    pub(super) fn ready(&self, request: Builder, body: PutPayload) -> Result<(Request<PutPayload>, Parts)> {
        let wrong = |error: http::Error| match error.is::<http::header::InvalidHeaderValue>() {
            true => Error::invalid("an attribute or the metadata holds a character that no header can"),
            false => Error::config(format!("`{}` is not an endpoint", self.base)).with_source(error),
        };
        let (parts, body) = request.body(body).map_err(wrong)?.into_parts();
        Ok((Request::from_parts(parts.clone(), body), parts))
    }

    async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: PutPayload,
    ) -> Result<Response<Bytes>> {
        let (request, asked) = self.ready(request, body)?;
        let answer = self.signed(&refusal::read).call(operation, safety, request).await?;
        answer.map_err(|refusal| self.refusals.error(&asked, refusal))
    }
}

fn under(request: Builder, mode: &PutMode) -> Builder {
    match mode {
        PutMode::Overwrite => request,
        PutMode::Create => request.header("if-none-match", "*"),
        PutMode::Update(UpdateVersion { e_tag, .. }) => {
            request.header("if-match", e_tag.as_deref().unwrap_or_default())
        }
    }
}

/// What a write made. Errors: `Internal`, where S3 does not say.
fn written(answer: &Response<Bytes>, e_tag: Option<String>) -> Result<PutResult> {
    let e_tag = e_tag.or_else(|| text(answer.headers(), ETAG).map(str::to_owned));
    let silent = || Error::internal("S3 took the object without an ETag").with_outcome_unknown();
    let version = numbered(text(answer.headers(), "x-amz-version-id").map(str::to_owned));
    Ok(PutResult { e_tag: Some(e_tag.ok_or_else(silent)?), version, extensions: Default::default() })
}

#[derive(Deserialize)]
struct Begun {
    #[serde(rename = "UploadId")]
    upload_id: String,
}

/// A part that was copied, or the object of all parts.
#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "ETag")]
    e_tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tagging {
    tag_set: Tags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tag: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

/// The parts of an upload in their order. Their ETags are S3's own.
fn part_list(parts: &[PartId]) -> PutPayload {
    let mut xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for (number, part) in (1..).zip(parts) {
        let e_tag = quick_xml::escape::escape(part.content_id.as_str());
        // Writing to a string does not fail.
        let _ = write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{e_tag}</ETag></Part>");
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml.into()
}
