//! Multipart writes, under a condition where one is wanted.
//!
//! Cloud Storage takes the content in order and in multiples of 256 KiB, while parts come in any order and
//! size. So parts are queued as they are handed over, whoever waits for one sends those before it too, and
//! what makes no full chunk waits for more.

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

/// An upload that has begun. If it is dropped before its end, it is cancelled where a runtime still runs;
/// else what it has sent is never seen, and goes after a week.
#[derive(Debug)]
pub(super) struct GcsUpload {
    session: Session,
    shared: Arc<Shared>,
    handed: usize,
    open: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Parts that are not in the line yet, in their order.
    queue: Mutex<VecDeque<PutPayload>>,
    line: tokio::sync::Mutex<Line>,
}

/// What of the content is known to be kept, and what comes next.
#[derive(Debug, Default)]
struct Line {
    /// So many bytes are kept.
    kept: u64,
    /// What comes behind them.
    held: VecDeque<Bytes>,
    /// Parts whose content is in `held`, or kept.
    taken: usize,
    /// Parts whose sender has heard that they are well.
    settled: usize,
    /// Has something been sent of which nothing was heard?
    doubtful: bool,
}

impl GcsUpload {
    pub(super) fn new(session: Session) -> Self {
        Self { session, shared: Arc::default(), handed: 0, open: true }
    }
}

impl Shared {
    /// Sends what is before part `place`, and the part.
    async fn send(&self, session: &Session, place: usize) -> Result<()> {
        let mut line = self.line.lock().await;
        while line.taken <= place {
            let Some(part) = self.queue.lock().pop_front() else { break };
            line.held.extend(part);
            line.taken += 1;
        }
        match line.deliver(session, None).await {
            Ok(None) => {
                line.settled += 1;
                Ok(())
            }
            Ok(Some(_)) => Err(Error::internal("Cloud Storage ended an upload before its end").into()),
            Err(error) => Err(unseen(error).into()),
        }
    }
}

/// Whatever became of a chunk, nobody sees it.
fn unseen(error: Error) -> Error {
    match error.outcome_unknown() {
        true => Error::new(error.kind(), "a part of the object could not be sent").with_source(error),
        false => error,
    }
}

impl Line {
    fn length(&self) -> u64 {
        self.held.iter().map(|piece| piece.len() as u64).sum()
    }

    /// What is to be sent next. The last byte waits until it is known whether it is the last: so the end is
    /// never told without content, which would ask for the status instead.
    fn chunk(&self, total: Option<u64>) -> PutPayload {
        let mut left = match total {
            Some(_) => self.length(),
            None => self.length().saturating_sub(1) / CHUNK * CHUNK,
        };
        let pieces = self.held.iter().map_while(|piece| {
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            left -= size as u64;
            (size > 0 || left > 0).then(|| piece.slice(..size))
        });
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// Takes away what is kept now. Errors: `Internal`, where that cannot be.
    fn keep(&mut self, kept: u64) -> isobar_abstraction::Result<()> {
        let more = kept.checked_sub(self.kept).filter(|more| *more <= self.length());
        let Some(mut more) = more else {
            let (before, message) = (self.kept, "Cloud Storage keeps another part of the content than was sent");
            return Err(Error::internal(format!("{message}: {kept} bytes behind {before}")));
        };
        self.kept = kept;
        while let Some(piece) = self.held.front_mut().filter(|_| more > 0) {
            let size = usize::try_from(more).unwrap_or(usize::MAX).min(piece.len());
            more -= size as u64;
            let _sent = piece.split_to(size);
            if piece.is_empty() {
                self.held.pop_front();
            }
        }
        self.held.retain(|piece| !piece.is_empty());
        Ok(())
    }

    /// Sends what makes full chunks; where `total` is known all of it, and answers the object then.
    ///
    /// What breaks off goes on where Cloud Storage says, as often as the client allows.
    async fn deliver(&mut self, session: &Session, total: Option<u64>) -> isobar_abstraction::Result<Option<Resource>> {
        let mut retries = 0;
        loop {
            let broken = match self.step(session, total).await? {
                Step::Done(resource) => return Ok(Some(resource)),
                Step::Enough => return Ok(None),
                Step::Further => {
                    retries = 0;
                    continue;
                }
                Step::Known => continue,
                Step::Nowhere => Error::new(ErrorKind::Unavailable, "Cloud Storage keeps nothing of an upload"),
                Step::Broken(error) => error,
            };
            retries += 1;
            if !session.client().pause(retries).await {
                return Err(broken);
            }
        }
    }

    async fn step(&mut self, session: &Session, total: Option<u64>) -> isobar_abstraction::Result<Step> {
        let before = self.kept;
        if self.doubtful {
            return self.ask(session, total).await;
        }
        let chunk = self.chunk(total);
        if total.is_none() && chunk.content_length() == 0 {
            return Ok(Step::Enough);
        }
        // Until an answer is here, even if nobody waits for it any more.
        self.doubtful = true;
        match session.send(self.kept, chunk, total).await {
            Ok(Ok(progress)) => self.progressed(before, progress),
            Ok(Err(service_error)) if service_error.decision == RetryDecision::Failed => {
                Ok(Step::Broken(session.error(&service_error)))
            }
            Ok(Err(service_error)) => {
                self.doubtful = service_error.uncertain;
                Err(session.error(&service_error))
            }
            Err(error) if error.is_retryable() => Ok(Step::Broken(error)),
            Err(error) => Err(error),
        }
    }

    /// Asks what has become of what was sent.
    async fn ask(&mut self, session: &Session, total: Option<u64>) -> isobar_abstraction::Result<Step> {
        let in_doubt = |error: Error| if total.is_some() { error.with_outcome_unknown() } else { error };
        match session.status(total).await.map_err(in_doubt)? {
            Ok(progress) => Ok(match self.progressed(self.kept, progress)? {
                Step::Nowhere => Step::Known,
                other => other,
            }),
            // Nothing was written.
            Err(service_error) if service_error.status() == StatusCode::PRECONDITION_FAILED => {
                Err(session.error(&service_error))
            }
            Err(service_error) => Err(in_doubt(session.error(&service_error))),
        }
    }

    fn progressed(&mut self, before: u64, progress: Progress) -> isobar_abstraction::Result<Step> {
        self.doubtful = false;
        Ok(match progress {
            Progress::Done(resource) => Step::Done(resource),
            Progress::Kept(kept) => {
                self.keep(kept)?;
                if kept > before { Step::Further } else { Step::Nowhere }
            }
        })
    }
}

/// What came of one request of an upload.
enum Step {
    Done(Resource),
    /// There is nothing to send.
    Enough,
    /// More is kept than before.
    Further,
    /// What is kept is known again.
    Known,
    /// No more is kept than before.
    Nowhere,
    Broken(Error),
}

#[async_trait]
impl MultipartUpload for GcsUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let place = self.handed;
        self.handed += 1;
        self.shared.queue.lock().push_back(data);
        let (session, shared) = (self.session.clone(), Arc::clone(&self.shared));
        Box::pin(async move { shared.send(&session, place).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if !self.open {
            return Err(Error::invalid_input("the upload has ended").into());
        }
        let mut line = self.shared.line.lock().await;
        if line.settled != self.handed {
            return Err(Error::invalid_input("a part of the upload was not sent to its end").into());
        }
        let total = line.kept + line.length();
        let silent = || Error::internal("Cloud Storage ended an upload without its object").with_outcome_unknown();
        let resource = line.deliver(&self.session, Some(total)).await?.ok_or_else(silent)?;
        self.open = false;
        if resource.size().is_ok_and(|size| size != total) {
            let message = "Cloud Storage made an object of another size than was sent: write it anew";
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
            // Nobody waits for its end, and what it leaves is never seen.
            runtime.spawn(async move { session.cancel().await });
        }
    }
}
