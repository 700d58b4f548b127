//! What is known of the attempts of one call, across the layers of `object_store`.

use std::error::Error as StdError;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures_util::future::{self, BoxFuture, Either};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use isobar_abstraction::{Error, ErrorKind};
use parking_lot::Mutex;

use crate::retry::{COST, COST_OF_TIMEOUT};

tokio::task_local! {
    /// The call that is being polled.
    static COURSE: Arc<Course>;
}

/// One call of a store, which may make many requests, also at once.
#[derive(Default)]
struct Course {
    /// May an attempt of a write have been applied?
    applied: AtomicBool,
    /// Was a dead connection met? That excuses one attempt, not more.
    excused: AtomicBool,
    /// Attempts that failed, and were not made again.
    failed: Mutex<Vec<Failed>>,
}

/// An attempt that failed. Whoever makes it again pays for that.
pub(super) struct Failed {
    asked: Asked,
    /// What it costs to make it again.
    pub(super) cost: u32,
    /// Not before then, says the service.
    pub(super) not_before: Option<SystemTime>,
    /// The answer, if it is not made again.
    pub(super) error: Error,
}

/// What a request asks for. One that asks for the same again is its retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    method: Method,
    uri: Uri,
    /// Where the range ends: a download that broke off goes on from another place, to the same end.
    end: Option<u64>,
}

impl Asked {
    pub(super) fn of(request: &Parts) -> Self {
        let range = request.headers.get(RANGE).and_then(|range| range.to_str().ok());
        let end = range.and_then(|range| range.rsplit_once('-')).and_then(|(_, end)| end.parse().ok());
        Self { method: request.method.clone(), uri: request.uri.clone(), end }
    }

    /// What is asked for after the body of this answer has broken off.
    pub(super) fn rest_of<B>(self, answer: &Response<B>) -> Self {
        let end = match answer.status() {
            StatusCode::PARTIAL_CONTENT => end_of_range(answer.headers()),
            _ => length(answer.headers()).and_then(|length: u64| length.checked_sub(1)),
        };
        Self { end, ..self }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Of `bytes 4-7/8`.
fn end_of_range(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.split_once('/')?.0.rsplit_once('-')?.1.parse().ok()
}

/// The failure that this request comes after, if it is a retry.
pub(super) fn failed_before(asked: &Asked) -> Option<Failed> {
    let course = COURSE.try_with(Arc::clone).ok()?;
    let mut failed = course.failed.lock();
    let place = failed.iter().position(|failed| failed.asked == *asked)?;
    Some(failed.swap_remove(place))
}

/// Notes that an attempt failed, so that it is paid for if it is made again.
pub(super) fn failed(asked: Asked, error: &Error, not_before: Option<SystemTime>) {
    let cost = if error.kind() == ErrorKind::Timeout { COST_OF_TIMEOUT } else { COST };
    note(Failed { asked, cost, not_before, error: error.duplicate() });
}

/// The pooled connection was dead, which says nothing of the service.
pub(super) fn failed_on_dead_connection(asked: Asked, error: &Error) {
    let excused = COURSE.try_with(|course| !course.excused.swap(true, Ordering::Relaxed)).unwrap_or_default();
    let cost = if excused { 0 } else { COST };
    note(Failed { asked, cost, not_before: None, error: error.duplicate() });
}

fn note(failed: Failed) {
    // Outside of a call nobody counts.
    let _ = COURSE.try_with(|course| course.failed.lock().push(failed));
}

/// One attempt of a write: until something else is known, it may have been applied.
pub(super) struct Attempt(Option<(Arc<Course>, bool)>);

impl Attempt {
    pub(super) fn begin(method: &Method) -> Self {
        let call = COURSE.try_with(Arc::clone).ok().filter(|_| !method.is_safe());
        Self(call.map(|course| {
            let before = course.applied.swap(true, Ordering::Relaxed);
            (course, before)
        }))
    }

    /// It was surely not applied, though one before it may have been.
    pub(super) fn not_applied(&self) {
        if let Some((course, before)) = &self.0 {
            course.applied.store(*before, Ordering::Relaxed);
        }
    }
}

/// Runs a call until its end or the deadline's, whichever comes first.
pub(super) async fn watch<T>(
    call: impl Future<Output = object_store::Result<T>>,
    deadline: Option<BoxFuture<'static, ()>>,
) -> object_store::Result<T> {
    let course = Arc::<Course>::default();
    let call = pin!(COURSE.scope(Arc::clone(&course), call));
    let deadline = deadline.unwrap_or_else(|| Box::pin(pending()));
    let result = match future::select(call, deadline).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => {
            let message = "the service did not answer before the invocation's deadline";
            Err(Error::new(ErrorKind::Timeout, message).into())
        }
    };
    result.map_err(|error| match ours(error) {
        error if course.applied.load(Ordering::Relaxed) => Error::from(error).with_outcome_unknown().into(),
        error => error,
    })
}

/// A stream that is a call of its own, with errors as they were.
pub(super) struct Watched<T> {
    course: Arc<Course>,
    stream: BoxStream<'static, object_store::Result<T>>,
}

impl<T> Watched<T> {
    pub(super) fn new(stream: BoxStream<'static, object_store::Result<T>>) -> Self {
        Self { course: Arc::default(), stream }
    }
}

impl<T> Stream for Watched<T> {
    type Item = object_store::Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let course = Arc::clone(&self.course);
        let item = COURSE.sync_scope(course, || self.stream.poll_next_unpin(cx));
        item.map(|item| item.map(|item| item.map_err(ours)))
    }
}

/// The isobar error that `object_store` wrapped, if there is one.
fn ours(error: object_store::Error) -> object_store::Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(ours) = found.downcast_ref::<Error>() {
            return ours.duplicate().into();
        }
        cause = found.source();
    }
    error
}
