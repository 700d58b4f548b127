//! Multipart writes, under a condition where one is wanted.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http::Request;
use http::header::{CONTENT_TYPE, ETAG};
use http::request::Builder;
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use isobar_rest::object::{UploadParts, conditional, encoded_query, text};
use object_store::path::Path;
use object_store::{ObjectMeta, PutMode, PutOptions, PutPayload, PutResult};
use serde::Deserialize;

use super::headers::{self, HEADERS};
use super::requests::S3Requests;
use super::service_error;
use crate::profile::MOST_PARTS;

/// Parts of one object that are copied at once.
const COPIED_AT_ONCE: usize = 8;

/// The largest part that is copied, where so many are enough for the object: a request for it is short.
const COPIED_PART: u64 = 128 << 20;

/// The size of the parts in which an object of this size is copied: whole mebibytes, at most 128 of them and at most
/// `largest`, but never so small that there are more parts than S3 takes.
pub(super) fn copied_part(size: u64, largest: u64) -> u64 {
    let least = size.div_ceil(MOST_PARTS as u64).next_multiple_of(1 << 20);
    largest.clamp(5 << 20, COPIED_PART).max(least)
}

/// An upload that has begun. If it is dropped before its end, it is aborted where a runtime still
/// runs; else its parts cost money until a lifecycle rule of the bucket takes them
/// (`AbortIncompleteMultipartUpload`).
#[derive(Debug)]
pub(super) struct S3Upload {
    requests: Arc<S3Requests>,
    at: Path,
    id: String,
    mode: PutMode,
    open: AtomicBool,
}

impl S3Upload {
    /// Begun twice, one is left over.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
    pub(super) async fn begin(requests: Arc<S3Requests>, at: &Path, options: &PutOptions) -> Result<Self> {
        let request = Request::post(format!("{}?uploads=", requests.url(at)));
        let request = HEADERS.describe(request, &options.attributes, &options.tags)?;
        let answer = requests.send("CreateMultipartUpload", request, PutPayload::new(), &PutMode::Overwrite).await?;
        let wrong = |error| Error::internal("S3 began a multipart write without its id").with_source(error);
        let begun: Begun = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        let mode = options.mode.clone();
        Ok(Self { requests, at: at.clone(), id: begun.upload_id, mode, open: AtomicBool::new(true) })
    }

    /// A request for part `place`, counted from 0.
    fn part(&self, place: usize) -> Builder {
        let number = (place + 1).to_string();
        let query = encoded_query(&[("partNumber", &number), ("uploadId", &self.id)]);
        Request::put(format!("{}?{query}", self.requests.url(&self.at)))
    }

    fn url(&self) -> String {
        format!("{}?{}", self.requests.url(&self.at), encoded_query(&[("uploadId", &self.id)]))
    }

    /// Makes it of another object, which must not change meanwhile. Errors: `Conflict` where it does.
    pub(super) async fn copy_all(&self, from: &ObjectMeta, part: u64) -> Result<()> {
        let starts = (0..from.size).step_by(usize::try_from(part).unwrap_or(usize::MAX));
        let copies = starts
            .enumerate()
            .map(|(place, start)| self.copy_part(place, from, start..start.saturating_add(part).min(from.size)));
        let copied = stream::iter(copies).buffered(COPIED_AT_ONCE).try_collect();
        let copied = async { self.complete(copied.await?).await };
        match copied.await {
            Ok(_) => Ok(()),
            Err(error) => {
                // The first error matters, and parts without an end are never seen.
                let _ = self.abort().await;
                Err(error)
            }
        }
    }

    /// Makes part `place` of bytes of another object, if that still has this ETag.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
    async fn copy_part(&self, place: usize, from: &ObjectMeta, bytes: Range<u64>) -> Result<String> {
        let request = self
            .part(place)
            .header("x-amz-copy-source", self.requests.source(&from.location))
            .header("x-amz-copy-source-if-match", from.e_tag.as_deref().unwrap_or_default())
            .header("x-amz-copy-source-range", format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1)));
        let answer = self.requests.send("UploadPartCopy", request, PutPayload::new(), &PutMode::Overwrite).await?;
        let wrong = |error| Error::internal("S3 copied a part without an ETag").with_source(error);
        let copied: Tagged = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        Ok(copied.e_tag)
    }
}

#[async_trait]
impl UploadParts for S3Upload {
    const MOST: usize = MOST_PARTS;

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>
    async fn send(&self, place: usize, content: PutPayload) -> Result<String> {
        let answer = self.requests.send("UploadPart", self.part(place), content, &PutMode::Overwrite).await?;
        let tag = text(answer.headers(), ETAG).ok_or_else(|| Error::internal("S3 took a part without an ETag"))?;
        Ok(tag.to_owned())
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by the mode; after a `Conflict` the upload must be made anew.
    async fn complete(&self, mut parts: Vec<String>) -> Result<PutResult> {
        // S3 wants at least one.
        if parts.is_empty() {
            parts.push(self.send(0, PutPayload::new()).await?);
        }
        let request = Request::post(self.url()).header(CONTENT_TYPE, "application/xml");
        let request = self.requests.ready(conditional(request, &self.mode), part_list(&parts))?;
        let signed = self.requests.signed(&service_error::read_completion);
        let answer = signed.call("CompleteMultipartUpload", Safety::Idempotent, request).await?;
        let answer = answer.map_err(|service_error| self.requests.error(&service_error, &self.mode))?;
        // It answered with a success: the object is there, perhaps.
        let wrong = |error| {
            Error::internal("S3 completed a multipart write without a word").with_source(error).with_outcome_unknown()
        };
        let completed: Tagged = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        self.open.store(false, Ordering::Relaxed);
        let version = headers::version(answer.headers());
        Ok(PutResult { e_tag: Some(completed.e_tag), version, extensions: Default::default() })
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
    async fn abort(&self) -> Result<()> {
        self.open.store(false, Ordering::Relaxed);
        abort(&self.requests, self.url()).await
    }
}

async fn abort(requests: &S3Requests, url: String) -> Result<()> {
    let (request, body) = (Request::delete(url), PutPayload::new());
    requests.send("AbortMultipartUpload", request, body, &PutMode::Overwrite).await.map(drop)
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if *self.open.get_mut() {
            let (requests, url) = (Arc::clone(&self.requests), self.url());
            // Nobody waits for its end, and what it leaves is never seen.
            runtime.spawn(async move { abort(&requests, url).await });
        }
    }
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

/// The parts of an upload in their order. Their ETags are S3's own.
fn part_list(parts: &[String]) -> PutPayload {
    let mut xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
    for (number, part) in (1..).zip(parts) {
        let e_tag = quick_xml::escape::escape(part.as_str());
        // Writing to a string does not fail.
        let _ = write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{e_tag}</ETag></Part>");
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml.into()
}
