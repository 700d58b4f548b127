//! Multipart uploads, optionally with a condition.

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
use isobar_rest::object::{UploadParts, add_precondition, encode_query, header_text};
use object_store::path::Path;
use object_store::{ObjectMeta, PutMode, PutOptions, PutPayload, PutResult};
use serde::Deserialize;

use super::headers::{self, HEADERS};
use super::requests::S3Requests;
use super::service_error;
use crate::profile::MOST_PARTS;

/// The number of parts of one object to copy at the same time.
const CONCURRENT_COPIES: usize = 8;

/// The largest part to copy, unless the object then has too many parts. The request for such a part is short.
const COPIED_PART: u64 = 128 << 20;

/// The size of the parts for a copy of an object: whole mebibytes, at most 128 MiB and at most
/// `largest`, but large enough that S3's limit of parts is kept.
pub(super) fn copied_part(size: u64, largest: u64) -> u64 {
    let least = size.div_ceil(MOST_PARTS as u64).next_multiple_of(1 << 20);
    largest.clamp(5 << 20, COPIED_PART).max(least)
}

/// An upload in progress. If it is dropped before its end, it is aborted while a runtime still
/// runs; otherwise its parts cost money until a lifecycle rule of the bucket deletes them
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
    /// Starts an upload. If the request is repeated, an unused upload remains.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
    pub(super) async fn begin(requests: Arc<S3Requests>, at: &Path, options: &PutOptions) -> Result<Self> {
        let request = Request::post(format!("{}?uploads=", requests.url(at)));
        let request = HEADERS.describe(request, &options.attributes, &options.tags)?;
        let answer = requests.send("CreateMultipartUpload", request, PutPayload::new(), &PutMode::Overwrite).await?;
        let wrong = |error| Error::internal("S3 started a multipart upload without an `UploadId`").with_source(error);
        let started: Started = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        let mode = options.mode.clone();
        Ok(Self { requests, at: at.clone(), id: started.upload_id, mode, open: AtomicBool::new(true) })
    }

    /// A request for part `place`, starting at 0.
    fn part(&self, place: usize) -> Builder {
        let number = (place + 1).to_string();
        let query = encode_query(&[("partNumber", &number), ("uploadId", &self.id)]);
        Request::put(format!("{}?{query}", self.requests.url(&self.at)))
    }

    fn url(&self) -> String {
        format!("{}?{}", self.requests.url(&self.at), encode_query(&[("uploadId", &self.id)]))
    }

    /// Copies another object into this upload. Errors: `Conflict` if that object changes meanwhile.
    pub(super) async fn copy_all(&self, from: &ObjectMeta, part: u64) -> Result<()> {
        let starts = (0..from.size).step_by(usize::try_from(part).unwrap_or(usize::MAX));
        let copies = starts
            .enumerate()
            .map(|(place, start)| self.copy_part(place, from, start..start.saturating_add(part).min(from.size)));
        let copied = stream::iter(copies).buffered(CONCURRENT_COPIES).try_collect();
        let copied = async { self.complete(copied.await?).await };
        match copied.await {
            Ok(_) => Ok(()),
            Err(error) => {
                // The first error is returned; the parts are invisible without a completion.
                let _ = self.abort().await;
                Err(error)
            }
        }
    }

    /// Copies a range of another object as part `place`, if that object still has this ETag.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
    async fn copy_part(&self, place: usize, from: &ObjectMeta, bytes: Range<u64>) -> Result<String> {
        let request = self
            .part(place)
            .header("x-amz-copy-source", self.requests.source(&from.location))
            .header("x-amz-copy-source-if-match", from.e_tag.as_deref().unwrap_or_default())
            .header("x-amz-copy-source-range", format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1)));
        let answer = self.requests.send("UploadPartCopy", request, PutPayload::new(), &PutMode::Overwrite).await?;
        let wrong = |error| Error::internal("S3 copied a part but returned no `ETag`").with_source(error);
        let copied: Tagged = quick_xml::de::from_reader(answer.body().as_ref()).map_err(wrong)?;
        Ok(copied.e_tag)
    }
}

#[async_trait]
impl UploadParts for S3Upload {
    const MAX_PARTS: usize = MOST_PARTS;

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>
    async fn send(&self, place: usize, content: PutPayload) -> Result<String> {
        let answer = self.requests.send("UploadPart", self.part(place), content, &PutMode::Overwrite).await?;
        let tag = header_text(answer.headers(), ETAG)
            .ok_or_else(|| Error::internal("S3 stored a part but returned no `ETag`"))?;
        Ok(tag.to_owned())
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by the mode; after a `Conflict` the whole upload must be repeated.
    async fn complete(&self, mut parts: Vec<String>) -> Result<PutResult> {
        // S3 requires at least one part.
        if parts.is_empty() {
            parts.push(self.send(0, PutPayload::new()).await?);
        }
        let request = Request::post(self.url()).header(CONTENT_TYPE, "application/xml");
        let request = self.requests.ready(add_precondition(request, &self.mode), part_list(&parts))?;
        let signed = self.requests.signed(&service_error::read_completion);
        let answer = signed.call("CompleteMultipartUpload", Safety::Idempotent, request).await?;
        let answer = answer.map_err(|service_error| self.requests.error(&service_error, &self.mode))?;
        // The status was a success, so the object may exist.
        let wrong = |error| {
            Error::internal("S3 completed a multipart upload but returned no `ETag`: check whether the object exists")
                .with_source(error)
                .with_outcome_unknown()
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
            // The result is ignored: the remaining parts are invisible.
            runtime.spawn(async move { abort(&requests, url).await });
        }
    }
}

#[derive(Deserialize)]
struct Started {
    #[serde(rename = "UploadId")]
    upload_id: String,
}

/// The ETag of a copied part or of the completed object.
#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "ETag")]
    e_tag: String,
}

/// The body of a completion: the ETags of the parts in order.
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
