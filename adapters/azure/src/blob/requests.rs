//! The requests to one container.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::request::{Builder, Parts};
use http::{HeaderMap, Request, Response};
use isobar_abstraction::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::text;
use isobar_rest::{Answered, Safety};
use object_store::path::Path;
use object_store::{Attributes, CopyMode, PutMode, PutOptions, PutPayload, PutResult, TagSet};

use super::encoded;
use super::headers::{describe, under};
use super::listing::{self, Cursor, Read};
use super::refusal::{self, BlobRefusals};
use crate::State;
use crate::config::StorageAccount;
use crate::service::AzureService;

/// One container, as it is asked.
#[derive(Debug, Clone)]
pub(super) struct BlobRequests {
    pub(super) state: Arc<State>,
    account: StorageAccount,
    container: String,
    pub(super) refusals: BlobRefusals,
    pub(super) service: AzureService,
}

/// How often a copy that goes on behind our back is looked at, the pauses growing to 2 seconds.
const LOOKS: u32 = 300;

impl BlobRequests {
    pub(super) fn new(state: Arc<State>, account: StorageAccount, container: String) -> Self {
        let refusals = BlobRefusals::new(&account, &container);
        let service = AzureService::blobs(&state, &account, refusal::read, refusals.place());
        Self { state, account, container, refusals, service }
    }

    pub(super) fn account(&self) -> &StorageAccount {
        &self.account
    }

    pub(super) fn container(&self) -> &str {
        &self.container
    }

    /// Of the container.
    fn base(&self) -> String {
        format!("{}/{}", self.account.blob, self.container)
    }

    /// Of an object.
    pub(super) fn url(&self, at: &Path) -> String {
        format!("{}/{}", self.base(), encoded::path(at.as_ref()))
    }

    /// Of an object that is copied: a signature opens it only where it stands in its URL too.
    fn source(&self, at: &Path) -> String {
        self.service.signed_url(&self.url(at))
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/list-blobs>
    pub(super) async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let cursor = Cursor::of(request)?;
        let mut marker = cursor.marker.clone();
        loop {
            let url = format!("{}?{}", self.base(), listing::query(request, &marker));
            let answer = self.send("ListBlobs", Safety::Read, Request::get(url), PutPayload::new()).await?;
            match listing::read(&cursor, answer.body())? {
                Read::Page(listing) => return Ok(listing),
                Read::Empty(next) if next == marker => {
                    return Err(Error::internal("Blob Storage answers the same empty page for ever"));
                }
                Read::Empty(next) => marker = next,
            }
        }
    }

    /// Makes an object in one request. <https://learn.microsoft.com/rest/api/storageservices/put-blob>
    pub(super) async fn put(&self, at: &Path, body: PutPayload, options: &PutOptions) -> Result<PutResult> {
        let PutOptions { mode, attributes, tags, .. } = options;
        let request = Request::put(self.url(at)).header("x-ms-blob-type", "BlockBlob");
        let request = under(describe(request, attributes, tags), mode);
        written(&self.send("PutBlob", safety(mode), request, body).await?)
    }

    /// An absent object is `Ok`. <https://learn.microsoft.com/rest/api/storageservices/delete-blob>
    pub(super) async fn delete(&self, at: &Path) -> Result<()> {
        let request = Request::delete(self.url(at)).header("x-ms-delete-snapshots", "include");
        let (asked, answer) = self.exchange("DeleteBlob", Safety::Idempotent, request, PutPayload::new()).await?;
        match answer {
            Err(refusal) if refusal.code == "BlobNotFound" && refusal.status() == 404 => Ok(()),
            answer => answer.map(drop).map_err(|refusal| self.refusals.error(&asked, refusal)),
        }
    }

    /// Ends when the copy is whole. <https://learn.microsoft.com/rest/api/storageservices/copy-blob>
    pub(super) async fn copy(&self, from: &Path, to: &Path, mode: CopyMode) -> Result<()> {
        let request = Request::put(self.url(to)).header("x-ms-copy-source", self.source(from));
        let (safety, mode) = match mode {
            CopyMode::Overwrite => (Safety::Idempotent, PutMode::Overwrite),
            CopyMode::Create => (Safety::Once, PutMode::Create),
        };
        let answer = self.send("CopyBlob", safety, under(request, &mode), PutPayload::new()).await?;
        let mut status = CopyStatus::of(answer.headers());
        let id = text(answer.headers(), "x-ms-copy-id").map(str::to_owned);
        for look in 1..=LOOKS {
            match status {
                CopyStatus::Done => return Ok(()),
                CopyStatus::Failed(why) => {
                    let message = format!("Blob Storage could not copy the object: {why}");
                    return Err(Error::new(ErrorKind::Unavailable, message).with_outcome_unknown());
                }
                CopyStatus::Pending => {}
            }
            self.state.clock.pause(Duration::from_millis(100 * u64::from(look.min(20)))).await;
            let head = self.send("GetBlobProperties", Safety::Read, Request::head(self.url(to)), PutPayload::new());
            let head = head.await.map_err(Error::with_outcome_unknown)?;
            // Another write has taken its place: ours was there before.
            let ours = text(head.headers(), "x-ms-copy-id") == id.as_deref();
            status = if ours { CopyStatus::of(head.headers()) } else { CopyStatus::Done };
        }
        Err(Error::new(ErrorKind::Timeout, "the copy of the object has not ended").with_outcome_unknown())
    }

    /// Sends a part, which nobody sees. <https://learn.microsoft.com/rest/api/storageservices/put-block>
    pub(super) async fn put_block(&self, at: &Path, id: &str, body: PutPayload) -> Result<()> {
        let id = BASE64_STANDARD.encode(id);
        let url = format!("{}?{}", self.url(at), encoded::query(&[("comp", "block"), ("blockid", &id)]));
        self.send("PutBlock", Safety::Idempotent, Request::put(url), body).await.map(drop)
    }

    /// Makes an object of parts. <https://learn.microsoft.com/rest/api/storageservices/put-block-list>
    ///
    /// Errors: `AlreadyExists` and `Conflict` by `mode`; `Conflict` where another write took the parts.
    pub(super) async fn put_block_list(
        &self,
        at: &Path,
        ids: &[String],
        attributes: &Attributes,
        tags: &TagSet,
        mode: &PutMode,
    ) -> Result<PutResult> {
        let url = format!("{}?comp=blocklist", self.url(at));
        let request = Request::put(url).header(CONTENT_TYPE, "application/xml");
        let request = under(describe(request, attributes, tags), mode);
        written(&self.send("PutBlockList", safety(mode), request, block_list(ids)).await?)
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-user-delegation-key>
    pub(super) async fn delegation_key(&self, start: &str, expiry: &str) -> Result<Response<Bytes>> {
        let url = format!("{}/?restype=service&comp=userdelegationkey", self.account.blob);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>"
        );
        let request = Request::post(url).header(CONTENT_TYPE, "application/xml");
        self.send("GetUserDelegationKey", Safety::Read, request, body.into()).await
    }

    async fn send(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: PutPayload,
    ) -> Result<Response<Bytes>> {
        let (asked, answer) = self.exchange(operation, safety, request, body).await?;
        answer.map_err(|refusal| self.refusals.error(&asked, refusal))
    }

    /// The answer, and what of the request tells its meaning.
    async fn exchange(
        &self,
        operation: &'static str,
        safety: Safety,
        request: Builder,
        body: PutPayload,
    ) -> Result<(Parts, Answered<Response<Bytes>>)> {
        let (request, asked) = self.ready(request, body)?;
        Ok((asked, self.service.send(operation, safety, request).await?))
    }

    /// The request, and what of it tells the meaning of an answer.
    pub(super) fn ready(&self, request: Builder, body: PutPayload) -> Result<(Request<PutPayload>, Parts)> {
        let wrong = |error: http::Error| match error.is::<http::header::InvalidHeaderValue>() {
            true => Error::invalid("an attribute or the metadata holds a character that no header can"),
            false => Error::config(format!("`{}` is not an endpoint", self.base())).with_source(error),
        };
        let (asked, body) = request.body(body).map_err(wrong)?.into_parts();
        Ok((Request::from_parts(asked.clone(), body), asked))
    }
}

/// How far a copy is.
enum CopyStatus {
    Done,
    Pending,
    Failed(String),
}

impl CopyStatus {
    fn of(headers: &HeaderMap) -> Self {
        match text(headers, "x-ms-copy-status") {
            Some("pending") => Self::Pending,
            Some("failed" | "aborted") => {
                Self::Failed(text(headers, "x-ms-copy-status-description").unwrap_or("it was aborted").to_owned())
            }
            _ => Self::Done,
        }
    }
}

/// A write under a condition is made once: made again, it would meet itself.
fn safety(mode: &PutMode) -> Safety {
    if *mode == PutMode::Overwrite { Safety::Idempotent } else { Safety::Once }
}

/// What a write made. Errors: `Internal`, where Azure does not say. A version that it tells is a number
/// that lists do not tell, and that no condition takes.
fn written(answer: &Response<Bytes>) -> Result<PutResult> {
    let silent = || Error::internal("Blob Storage took the object without an ETag").with_outcome_unknown();
    let e_tag = text(answer.headers(), ETAG).ok_or_else(silent)?.to_owned();
    Ok(PutResult { e_tag: Some(e_tag), version: None, extensions: Default::default() })
}

/// `Latest`, so that the list can be sent again after it was taken: the parts are the object's then.
fn block_list(ids: &[String]) -> PutPayload {
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for id in ids {
        // Writing to a string does not fail.
        let _ = write!(xml, "<Latest>{}</Latest>", BASE64_STANDARD.encode(id));
    }
    xml.push_str("</BlockList>");
    xml.into()
}
