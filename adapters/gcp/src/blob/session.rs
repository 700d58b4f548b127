//! A resumable upload: the content of one object is sent in chunks, in order, and becomes visible with the last chunk.
//!
//! Source: <https://cloud.google.com/storage/docs/performing-resumable-uploads>. The session's URL contains the
//! condition. Cloud Storage checks it atomically with the final write, and not when the upload begins
//! (<https://github.com/googleapis/google-cloud-java/issues/201>).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{Request, Response, StatusCode, Uri};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::header_text;
use isobar_rest::{Safety, ServiceError, ServiceResult};
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload};

use super::requests::GcsRequests;
use super::resource::{Description, Resource};

/// The size of which each chunk but the last is a multiple.
pub(super) const CHUNK: u64 = 256 * 1024;

/// An upload that has begun.
#[derive(Clone)]
pub(super) struct Session {
    requests: Arc<GcsRequests>,
    /// The URL of the session, a secret: it allows any client to write the object.
    url: String,
    mode: PutMode,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("requests", &self.requests).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// The progress of an upload.
#[derive(Debug)]
pub(super) enum Progress {
    /// The number of bytes stored, from the first byte.
    Stored(u64),
    Done(Resource),
}

impl Session {
    /// Begins an upload. A repeated request may leave a session unused: it is never visible and expires after a week.
    /// <https://cloud.google.com/storage/docs/performing-resumable-uploads#initiate-session>
    pub(super) async fn begin(requests: Arc<GcsRequests>, at: &Path, options: PutOptions) -> Result<Self> {
        let PutOptions { mode, attributes, tags, .. } = options;
        let description = Description::of(&attributes, &tags)?;
        let request = Request::post(requests.upload_url("resumable", at, &mode)?)
            .header(CONTENT_TYPE, "application/json; charset=UTF-8")
            .header("x-upload-content-type", &description.content_type);
        let body = PutPayload::from(serde_json::to_vec(&description)?);
        let answer = requests.call("objects.insert", Safety::Idempotent, request, body).await?;
        let answer = answer.map_err(|service_error| requests.error_of_write(&mode, &service_error))?;
        let no_location = || Error::internal("Cloud Storage began an upload without a valid `location`");
        let location = header_text(answer.headers(), LOCATION).and_then(|location| location.parse::<Uri>().ok());
        let location = location.as_ref().and_then(Uri::path_and_query).ok_or_else(no_location)?;
        let url = format!("{}{location}", requests.origin()?);
        Ok(Self { requests, url, mode })
    }

    pub(super) fn client(&self) -> &isobar_rest::Client {
        &self.requests.state().client
    }

    /// Sends the content from `offset`; with `total` it is the last chunk. Not repeated: after a failure only
    /// [`status`](Self::status) returns how many bytes are stored.
    pub(super) async fn send(
        &self,
        offset: u64,
        chunk: PutPayload,
        total: Option<u64>,
    ) -> Result<ServiceResult<Progress>> {
        let size = chunk.content_length() as u64;
        let range = match size {
            0 => format!("*/{}", total_text(total)),
            _ => format!("{offset}-{}/{}", offset + size - 1, total_text(total)),
        };
        self.put(Safety::Once, range, chunk).await
    }

    /// Requests the number of bytes stored.
    pub(super) async fn status(&self, total: Option<u64>) -> Result<ServiceResult<Progress>> {
        self.put(Safety::Read, format!("*/{}", total_text(total)), PutPayload::new()).await
    }

    async fn put(&self, safety: Safety, range: String, body: PutPayload) -> Result<ServiceResult<Progress>> {
        let request = Request::put(&self.url)
            .header(CONTENT_LENGTH, body.content_length())
            .header(CONTENT_RANGE, format!("bytes {range}"));
        let answer = self.requests.call("objects.insert", safety, request, body).await?;
        match answer {
            Ok(answer) => progress(&answer).map(Ok),
            Err(service_error) => Ok(Err(service_error)),
        }
    }

    /// Cancels the upload. <https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload>
    pub(super) async fn cancel(&self) -> Result<()> {
        let request = Request::delete(&self.url).header(CONTENT_LENGTH, 0);
        match self.requests.call("objects.insert", Safety::Idempotent, request, PutPayload::new()).await? {
            // 499 means that the upload was cancelled; the others mean that it no longer exists.
            Err(service_error) if ![404, 410, 499].contains(&service_error.status().as_u16()) => {
                Err(self.error(&service_error))
            }
            _ => Ok(()),
        }
    }

    /// The error of a service error after which the upload cannot continue.
    pub(super) fn error(&self, service_error: &ServiceError) -> Error {
        if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&service_error.status()) {
            let ended = "the upload no longer exists: write the object again";
            return service_error.mark_uncertain(Error::new(ErrorKind::Unavailable, ended));
        }
        self.requests.error(&self.mode, service_error)
    }
}

fn total_text(total: Option<u64>) -> String {
    total.map_or_else(|| "*".to_owned(), |total| total.to_string())
}

fn progress(answer: &Response<Bytes>) -> Result<Progress> {
    if answer.status() != StatusCode::PERMANENT_REDIRECT {
        return Resource::read(answer.body()).map(Progress::Done).map_err(Error::with_outcome_unknown);
    }
    // Without the header nothing is stored.
    let Some(range) = answer.headers().get(RANGE) else { return Ok(Progress::Stored(0)) };
    let last = || header_text(answer.headers(), RANGE)?.strip_prefix("bytes=0-")?.parse::<u64>().ok()?.checked_add(1);
    let wrong = || {
        Error::internal(format!("Cloud Storage reports the stored range {range:?} of an upload, expected `bytes=0-N`"))
    };
    last().map(Progress::Stored).ok_or_else(wrong)
}
