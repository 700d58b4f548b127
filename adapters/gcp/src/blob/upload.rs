//! Multipart uploads, with an optional condition.
//!
//! Cloud Storage accepts content in order and in multiples of 256 KiB, while parts have any size and are awaited in
//! any order. So parts are queued when they are put; the task that waits for a part also sends the parts before it;
//! bytes that do not fill a chunk wait for the next part.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use isobar_abstraction::{Error, ErrorKind};
use isobar_rest::RetryDecision;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::resource::Resource;
use super::session::{CHUNK, Progress, Session};

/// An open upload. If it is dropped before its end, it is cancelled if a runtime is still running; otherwise the
/// bytes it sent stay invisible and are deleted after a week.
#[derive(Debug)]
pub(super) struct GcsUpload {
    session: Session,
    shared: Arc<Shared>,
    /// The number of parts that were put.
    part_count: usize,
    open: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Parts that are not in `content` yet, in their order.
    queue: Mutex<VecDeque<PutPayload>>,
    content: tokio::sync::Mutex<Content>,
}

/// The content: how much Cloud Storage has stored, and the bytes after that.
#[derive(Debug, Default)]
struct Content {
    /// The number of bytes that Cloud Storage has stored.
    stored: u64,
    /// The bytes after those.
    unsent: VecDeque<Bytes>,
    /// The number of parts whose bytes are in `unsent` or stored.
    dequeued_parts: usize,
    /// The number of parts whose sender received a success.
    completed_parts: usize,
    /// Whether bytes were sent without a response, so that `stored` may be too low.
    uncertain: bool,
}

impl GcsUpload {
    pub(super) fn new(session: Session) -> Self {
        Self { session, shared: Arc::default(), part_count: 0, open: true }
    }
}

impl Shared {
    /// Sends the part with this index and all parts before it.
    async fn send(&self, session: &Session, index: usize) -> Result<()> {
        let mut content = self.content.lock().await;
        while content.dequeued_parts <= index {
            let Some(part) = self.queue.lock().pop_front() else { break };
            content.unsent.extend(part);
            content.dequeued_parts += 1;
        }
        match content.send_chunks(session, None).await {
            Ok(None) => {
                content.completed_parts += 1;
                Ok(())
            }
            Ok(Some(_)) => {
                Err(Error::internal("Cloud Storage completed an upload before the last chunk was sent").into())
            }
            Err(error) => Err(without_unknown_outcome(error).into()),
        }
    }
}

/// A chunk before the last has no visible effect, so its outcome is not unknown.
fn without_unknown_outcome(error: Error) -> Error {
    match error.outcome_unknown() {
        true => Error::new(error.kind(), "a part of the object could not be sent").with_source(error),
        false => error,
    }
}

impl Content {
    fn length(&self) -> u64 {
        self.unsent.iter().map(|piece| piece.len() as u64).sum()
    }

    /// The next chunk. Without `total` the last byte is held back, so that the last chunk is never empty: an empty
    /// chunk would be a request for the status.
    fn chunk(&self, total: Option<u64>) -> PutPayload {
        let mut left = match total {
            Some(_) => self.length(),
            None => self.length().saturating_sub(1) / CHUNK * CHUNK,
        };
        let pieces = self.unsent.iter().map_while(|piece| {
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            left -= size as u64;
            (size > 0 || left > 0).then(|| piece.slice(..size))
        });
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// Removes the bytes that are stored now. Errors: `Internal` for a number that is impossible.
    fn set_stored(&mut self, stored: u64) -> isobar_abstraction::Result<()> {
        let more = stored.checked_sub(self.stored).filter(|more| *more <= self.length());
        let Some(mut more) = more else {
            let (before, sent) = (self.stored, self.length());
            let message = "Cloud Storage reports an impossible size of an upload";
            return Err(Error::internal(format!(
                "{message}: {stored} bytes stored, of {before} before and {sent} sent"
            )));
        };
        self.stored = stored;
        while let Some(piece) = self.unsent.front_mut().filter(|_| more > 0) {
            let size = usize::try_from(more).unwrap_or(usize::MAX).min(piece.len());
            more -= size as u64;
            let _sent = piece.split_to(size);
            if piece.is_empty() {
                self.unsent.pop_front();
            }
        }
        self.unsent.retain(|piece| !piece.is_empty());
        Ok(())
    }

    /// Sends all full chunks; with `total` sends all bytes and returns the object.
    ///
    /// After a failure it continues from the size that Cloud Storage reports, with as many retries as the client allows.
    async fn send_chunks(
        &mut self,
        session: &Session,
        total: Option<u64>,
    ) -> isobar_abstraction::Result<Option<Resource>> {
        let mut retries = 0;
        loop {
            let error = match self.step(session, total).await? {
                Step::Done(resource) => return Ok(Some(resource)),
                Step::NothingToSend => return Ok(None),
                Step::Progressed => {
                    retries = 0;
                    continue;
                }
                Step::Synchronized => continue,
                Step::Stalled => Error::new(ErrorKind::Unavailable, "Cloud Storage stores no more bytes of an upload"),
                Step::Interrupted(error) => error,
            };
            retries += 1;
            if !session.client().pause(retries).await {
                return Err(error);
            }
        }
    }

    async fn step(&mut self, session: &Session, total: Option<u64>) -> isobar_abstraction::Result<Step> {
        let before = self.stored;
        if self.uncertain {
            return self.synchronize(session, total).await;
        }
        let chunk = self.chunk(total);
        if total.is_none() && chunk.content_length() == 0 {
            return Ok(Step::NothingToSend);
        }
        // Stays set if this future is dropped before the response.
        self.uncertain = true;
        match session.send(self.stored, chunk, total).await {
            Ok(Ok(progress)) => self.apply(before, progress),
            Ok(Err(service_error)) if service_error.decision == RetryDecision::Failed => {
                Ok(Step::Interrupted(session.error(&service_error)))
            }
            Ok(Err(service_error)) => {
                self.uncertain = service_error.uncertain;
                Err(session.error(&service_error))
            }
            Err(error) if error.is_retryable() => Ok(Step::Interrupted(error)),
            Err(error) => Err(error),
        }
    }

    /// Requests how much is stored after an uncertain request.
    async fn synchronize(&mut self, session: &Session, total: Option<u64>) -> isobar_abstraction::Result<Step> {
        let mark_unknown = |error: Error| if total.is_some() { error.with_outcome_unknown() } else { error };
        match session.status(total).await.map_err(mark_unknown)? {
            Ok(progress) => Ok(match self.apply(self.stored, progress)? {
                Step::Stalled => Step::Synchronized,
                other => other,
            }),
            // The condition does not hold, so the object was not written.
            Err(service_error) if service_error.status() == StatusCode::PRECONDITION_FAILED => {
                Err(session.error(&service_error))
            }
            Err(service_error) => Err(mark_unknown(session.error(&service_error))),
        }
    }

    fn apply(&mut self, before: u64, progress: Progress) -> isobar_abstraction::Result<Step> {
        self.uncertain = false;
        Ok(match progress {
            Progress::Done(resource) => Step::Done(resource),
            Progress::Stored(stored) => {
                self.set_stored(stored)?;
                if stored > before { Step::Progressed } else { Step::Stalled }
            }
        })
    }
}

/// The result of one request of an upload.
enum Step {
    Done(Resource),
    /// There is no full chunk to send.
    NothingToSend,
    /// More bytes are stored than before.
    Progressed,
    /// The number of stored bytes is known again.
    Synchronized,
    /// No more bytes are stored than before.
    Stalled,
    /// The request failed and may be retried.
    Interrupted(Error),
}

#[async_trait]
impl MultipartUpload for GcsUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let index = self.part_count;
        self.part_count += 1;
        self.shared.queue.lock().push_back(data);
        let (session, shared) = (self.session.clone(), Arc::clone(&self.shared));
        Box::pin(async move { shared.send(&session, index).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.open {
            return Err(Error::invalid_input("the upload was completed or aborted already").into());
        }
        let mut content = self.shared.content.lock().await;
        if content.completed_parts != self.part_count {
            return Err(Error::invalid_input("a part was not sent: await each `put_part` before `complete`").into());
        }
        let total = content.stored + content.length();
        let no_object =
            || Error::internal("Cloud Storage completed an upload without returning the object").with_outcome_unknown();
        let resource = content.send_chunks(&self.session, Some(total)).await?.ok_or_else(no_object)?;
        self.open = false;
        if resource.size().is_ok_and(|size| size != total) {
            let message = "the stored object has another size than the content: write it again";
            return Err(Error::internal(message).with_outcome_unknown().into());
        }
        Ok(resource.written()?)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open = false;
        Ok(self.session.cancel().await?)
    }
}

impl Drop for GcsUpload {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.open {
            let session = self.session.clone();
            // No caller waits for the result, and an upload that is not cancelled stays invisible.
            runtime.spawn(async move { session.cancel().await });
        }
    }
}
