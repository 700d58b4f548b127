//! Multipart uploads, optionally with a precondition.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use http::header::CONTENT_TYPE;
use isobar_abstraction::Result;
use isobar_rest::attempt::random_bits;
use isobar_rest::object::{UploadParts, encode_query, put_result};
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload, PutResult};

use super::headers::HEADERS;
use super::requests::BlobRequests;
use crate::profile::MOST_PARTS;

/// A multipart upload. Its parts are invisible until it completes; Azure drops them after a week, or with the next write
/// of the object, so abort does nothing.
#[derive(Debug)]
pub(super) struct BlobUpload {
    requests: Arc<BlobRequests>,
    at: Path,
    /// The prefix of the ids of its parts: two uploads of one object must not use each other's parts.
    id: u64,
    options: PutOptions,
}

impl BlobUpload {
    pub(super) fn new(requests: Arc<BlobRequests>, at: Path, options: PutOptions) -> Result<Self> {
        let id = u128::from_be_bytes(random_bits()?) as u64;
        Ok(Self { requests, at, id, options })
    }
}

#[async_trait]
impl UploadParts for BlobUpload {
    const MAX_PARTS: usize = MOST_PARTS;

    /// Sends an invisible part. <https://learn.microsoft.com/rest/api/storageservices/put-block>
    async fn send(&self, place: usize, content: PutPayload) -> Result<String> {
        // All ids of one object must have the same length: that of `object_store`.
        let id = BASE64_STANDARD.encode(format!("{:016x}{place:016x}", self.id));
        let query = encode_query(&[("comp", "block"), ("blockid", &id)]);
        let request = Request::put(format!("{}?{query}", self.requests.url(&self.at)));
        self.requests.write("PutBlock", request, content, &PutMode::Overwrite).await?;
        Ok(id)
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/put-block-list>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by the mode; `Conflict` where another write committed or dropped the parts.
    async fn complete(&self, parts: Vec<String>) -> Result<PutResult> {
        let PutOptions { mode, attributes, tags, .. } = &self.options;
        let request = Request::put(format!("{}?comp=blocklist", self.requests.url(&self.at)));
        let request = HEADERS.describe(request.header(CONTENT_TYPE, "application/xml"), attributes, tags)?;
        let answer = self.requests.write("PutBlockList", request, block_list(&parts), mode).await?;
        put_result("Blob Storage", answer.headers(), None)
    }

    async fn abort(&self) -> Result<()> {
        Ok(())
    }
}

/// The list of parts. `Latest`, so that it can be sent again after it was applied: then the parts are committed.
fn block_list(ids: &[String]) -> PutPayload {
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for id in ids {
        // Writing to a string does not fail.
        let _ = write!(xml, "<Latest>{id}</Latest>");
    }
    xml.push_str("</BlockList>");
    xml.into()
}
