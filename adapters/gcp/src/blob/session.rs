//! A resumable upload: one object whose content is sent in chunks, in order, and is seen when the last is
//! there.
//!
//! Source: <https://cloud.google.com/storage/docs/performing-resumable-uploads>. A condition is looked at
//! when the upload ends, in one with the write; the beginning of an upload does not look at it
//! (<https://github.com/googleapis/google-cloud-java/issues/201>). The session's URL carries it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{Request, Response, StatusCode, Uri};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::object::text;
use isobar_rest::{Answered, Safety, ServiceError};
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload};

use super::requests::GcsRequests;
use super::resource::{Description, Resource};

/// All chunks but the last are multiples of this.
pub(super) const CHUNK: u64 = 256 * 1024;

/// An upload that has begun.
#[derive(Clone)]
pub(super) struct Session {
    requests: Arc<GcsRequests>,
    /// Whoever has it may write the object.
    url: String,
    mode: PutMode,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("requests", &self.requests).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// How far an upload is.
#[derive(Debug)]
pub(super) enum Progress {
    /// So many bytes are kept, from the first on.
    Kept(u64),
    Done(Resource),
}

impl Session {
    /// Begun twice, one is left over, which nobody sees and which ends after a week.
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
        let nowhere = || Error::internal("Cloud Storage began an upload without its place");
        let place = text(answer.headers(), LOCATION).and_then(|place| place.parse::<Uri>().ok());
        let place = place.as_ref().and_then(Uri::path_and_query).ok_or_else(nowhere)?;
        let url = format!("{}{place}", requests.origin()?);
        Ok(Self { requests, url, mode })
    }

    pub(super) fn client(&self) -> &isobar_rest::Client {
        &self.requests.state().client
    }

    /// Sends what begins at `offset`; where `total` is known it is the rest. Sent once: where it breaks
    /// off, only [`status`](Self::status) tells what is kept.
    pub(super) async fn send(&self, offset: u64, chunk: PutPayload, total: Option<u64>) -> Result<Answered<Progress>> {
        let size = chunk.content_length() as u64;
        let range = match size {
            0 => format!("*/{}", of(total)),
            _ => format!("{offset}-{}/{}", offset + size - 1, of(total)),
        };
        self.put(Safety::Once, range, chunk).await
    }

    /// Asks what is kept.
    pub(super) async fn status(&self, total: Option<u64>) -> Result<Answered<Progress>> {
        self.put(Safety::Read, format!("*/{}", of(total)), PutPayload::new()).await
    }

    async fn put(&self, safety: Safety, range: String, body: PutPayload) -> Result<Answered<Progress>> {
        let request = Request::put(&self.url)
            .header(CONTENT_LENGTH, body.content_length())
            .header(CONTENT_RANGE, format!("bytes {range}"));
        let answer = self.requests.call("objects.insert", safety, request, body).await?;
        match answer {
            Ok(answer) => progress(&answer).map(Ok),
            Err(service_error) => Ok(Err(service_error)),
        }
    }

    /// Ends it without an object. <https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload>
    pub(super) async fn cancel(&self) -> Result<()> {
        let request = Request::delete(&self.url).header(CONTENT_LENGTH, 0);
        match self.requests.call("objects.insert", Safety::Idempotent, request, PutPayload::new()).await? {
            // 499 is how it says that it did; the others, that there is none any more.
            Err(service_error) if ![404, 410, 499].contains(&service_error.status().as_u16()) => {
                Err(self.error(&service_error))
            }
            _ => Ok(()),
        }
    }

    /// The error of a service error to go on.
    pub(super) fn error(&self, service_error: &ServiceError) -> Error {
        if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&service_error.status()) {
            let ended = "the upload is not there any more: write the object anew";
            return service_error.as_error(Error::new(ErrorKind::Unavailable, ended));
        }
        self.requests.error(&self.mode, service_error)
    }
}

fn of(total: Option<u64>) -> String {
    total.map_or_else(|| "*".to_owned(), |total| total.to_string())
}

fn progress(answer: &Response<Bytes>) -> Result<Progress> {
    if answer.status() != StatusCode::PERMANENT_REDIRECT {
        return Resource::read(answer.body()).map(Progress::Done).map_err(Error::with_outcome_unknown);
    }
    // Without it nothing is kept.
    let Some(range) = answer.headers().get(RANGE) else { return Ok(Progress::Kept(0)) };
    let last = || text(answer.headers(), RANGE)?.strip_prefix("bytes=0-")?.parse::<u64>().ok()?.checked_add(1);
    let wrong = || Error::internal(format!("Cloud Storage keeps the range {range:?} of an upload"));
    last().map(Progress::Kept).ok_or_else(wrong)
}
