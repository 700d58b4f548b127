//! The operations of one container of Blob Storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response};
use isobar_abstraction::driver::blob::{ListRequest, SignRequest, SignedUrl};
use isobar_abstraction::{Error, ErrorKind, Origin, Result};
use isobar_rest::object::{
    self, ObjectHead, ObjectRequests, Page, PartUpload, check_expected_version, encode_query, header_text, put_result,
};
use isobar_rest::{Client, Safety, ServiceError, StreamBody};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, MultipartUpload, PutMode, PutOptions, PutPayload, PutResult};

use super::headers::HEADERS;
use super::listing::{self, Cursor};
use super::requests::BlobRequests;
use super::sign::Sas;
use super::upload::BlobUpload;

/// How often the status of a pending copy is read; the pauses grow to 2 seconds.
const COPY_CHECKS: u32 = 300;

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    requests: Arc<BlobRequests>,
    sas: Sas,
}

impl Container {
    pub(super) fn new(requests: BlobRequests) -> Self {
        let requests = Arc::new(requests);
        Self { sas: Sas::new(Arc::clone(&requests)), requests }
    }

    fn read(&self, method: Method, at: &Path, options: &GetOptions) -> Result<Request<PutPayload>> {
        let version = options.version.as_deref();
        let version = version.map(|version| format!("?{}", encode_query(&[("versionid", version)])));
        let url = format!("{}{}", self.requests.url(at), version.unwrap_or_default());
        self.requests
            .ready(object::add_get_options(Request::builder().method(method).uri(url), options), PutPayload::new())
    }

    fn read_error(&self, at: &Path, service_error: &ServiceError) -> object_store::Error {
        object::read_error(at, service_error, self.requests.error(service_error, &PutMode::Overwrite))
    }

    /// Replaces a range from the end, which Azure does not support, by one from the start.
    async fn bounded(&self, at: &Path, options: &GetOptions) -> object_store::Result<GetOptions> {
        let mut bounded = options.clone();
        if let Some(GetRange::Suffix(length)) = options.range {
            if length == 0 {
                return Err(object::ObjectError::EmptyRange.error(&PutMode::Overwrite).into());
            }
            bounded.range = None;
            let meta = self.describe(at, &self.head(at, &bounded).await?.into_parts().0)?.meta;
            // An empty object has no range: it is read whole.
            let end = meta.size.saturating_sub(length)..meta.size;
            bounded.range = (meta.size > 0).then_some(GetRange::Bounded(end));
            bounded.if_match = bounded.if_match.or(meta.e_tag);
        }
        Ok(bounded)
    }
}

#[async_trait]
impl ObjectRequests for Container {
    const SERVICE: &'static str = "Blob Storage";
    const PAGE: usize = listing::LARGEST_PAGE;
    // Azure continues a list only from its own markers, and Azurite does not support `startFrom`.
    const LISTS_FROM_ANY_NAME: bool = false;
    const METADATA_NAMES: &'static [u8] = b"-_";

    fn client(&self) -> &Client {
        &self.requests.state.client
    }

    fn place(&self) -> String {
        format!("az://{}", self.requests.container)
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-blob-properties>
    async fn head(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<Bytes>> {
        let request = self.read(Method::HEAD, at, options)?;
        let answer = self.requests.service.send("GetBlobProperties", Safety::Read, request).await?;
        answer.map_err(|service_error| self.read_error(at, &service_error))
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/get-blob>
    async fn open(&self, at: &Path, options: &GetOptions) -> object_store::Result<Response<StreamBody>> {
        let request = self.read(Method::GET, at, &self.bounded(at, options).await?)?;
        let answer = self.requests.service.open("GetBlob", request).await?;
        answer.map_err(|service_error| self.read_error(at, &service_error))
    }

    fn describe(&self, at: &Path, answer: &Parts) -> Result<ObjectHead> {
        // A hierarchical account has folders, which lists skip.
        if header_text(&answer.headers, "x-ms-resource-type").is_some_and(|kind| kind != "file") {
            return Err(Error::not_found("this name is a folder, not an object").with_origin(Origin::Data));
        }
        // Versions are left out: lists do not return them, and no precondition accepts them.
        ObjectHead::read(Self::SERVICE, at, answer, HEADERS.metadata)
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/put-blob>
    async fn put(&self, at: &Path, content: PutPayload, options: &PutOptions) -> Result<PutResult> {
        let PutOptions { mode, attributes, tags, .. } = options;
        check_expected_version(Self::SERVICE, mode)?;
        let request = Request::put(self.requests.url(at)).header("x-ms-blob-type", "BlockBlob");
        let request = HEADERS.describe(request, attributes, tags)?;
        put_result(Self::SERVICE, self.requests.write("PutBlob", request, content, mode).await?.headers(), None)
    }

    async fn begin(self: Arc<Self>, at: &Path, options: PutOptions) -> Result<Box<dyn MultipartUpload>> {
        check_expected_version(Self::SERVICE, &options.mode)?;
        // Attributes and tags are sent with the last request: they are checked before the first.
        HEADERS.describe(Request::builder(), &options.attributes, &options.tags)?;
        Ok(Box::new(PartUpload::new(BlobUpload::new(Arc::clone(&self.requests), at.clone(), options)?)))
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/copy-blob>
    async fn copy(self: Arc<Self>, from: &Path, to: &Path, mode: PutMode) -> Result<()> {
        let requests = &self.requests;
        // The URL of the source needs its own shared access signature.
        let request =
            Request::put(requests.url(to)).header("x-ms-copy-source", requests.service.signed_url(&requests.url(from)));
        let answer = requests.write("CopyBlob", request, PutPayload::new(), &mode).await?;
        let mut status = CopyStatus::of(answer.headers());
        let id = header_text(answer.headers(), "x-ms-copy-id").map(str::to_owned);
        for check in 1..=COPY_CHECKS {
            match status {
                CopyStatus::Done => return Ok(()),
                CopyStatus::Failed(why) => {
                    let message = format!("Blob Storage could not copy the object: {why}");
                    return Err(Error::new(ErrorKind::Unavailable, message).with_outcome_unknown());
                }
                CopyStatus::Pending => {}
            }
            requests.state.clock.pause(Duration::from_millis(100 * u64::from(check.min(20)))).await;
            let head = requests.ask("GetBlobProperties", Request::head(requests.url(to)), PutPayload::new());
            let head = head.await.map_err(Error::with_outcome_unknown)?;
            // Another write has replaced the object after this copy was complete.
            let ours = header_text(head.headers(), "x-ms-copy-id") == id.as_deref();
            status = if ours { CopyStatus::of(head.headers()) } else { CopyStatus::Done };
        }
        Err(Error::new(ErrorKind::Timeout, "the copy of the object is still pending").with_outcome_unknown())
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/delete-blob>
    async fn delete(&self, at: &Path) -> Result<()> {
        let request = Request::delete(self.requests.url(at)).header("x-ms-delete-snapshots", "include");
        let request = self.requests.ready(request, PutPayload::new())?;
        match self.requests.service.send("DeleteBlob", Safety::Idempotent, request).await? {
            Err(service_error) if service_error.code == "BlobNotFound" && service_error.status() == 404 => Ok(()),
            answer => {
                answer.map(drop).map_err(|service_error| self.requests.error(&service_error, &PutMode::Overwrite))
            }
        }
    }

    /// <https://learn.microsoft.com/rest/api/storageservices/list-blobs>
    async fn page(&self, request: &ListRequest, token: Option<&str>) -> Result<Page> {
        let cursor = Cursor::of(request)?;
        let query = listing::query(request, token.unwrap_or(&cursor.marker));
        let request = Request::get(format!("{}?{query}", self.requests.base()));
        listing::read(&cursor, self.requests.ask("ListBlobs", request, PutPayload::new()).await?.body())
    }

    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl> {
        self.sas.sign(request).await
    }
}

/// The status of a copy.
enum CopyStatus {
    Done,
    Pending,
    Failed(String),
}

impl CopyStatus {
    fn of(headers: &HeaderMap) -> Self {
        match header_text(headers, "x-ms-copy-status") {
            Some("pending") => Self::Pending,
            Some("failed" | "aborted") => Self::Failed(
                header_text(headers, "x-ms-copy-status-description").unwrap_or("it was aborted").to_owned(),
            ),
            _ => Self::Done,
        }
    }
}
