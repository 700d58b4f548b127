//! The events that the app handled lately, for the dashboard: a bounded list in memory, with the log lines and the operations
//! of each event.
//!
//! The host reports when an event begins and ends; [`HistoryLayer`] adds what is logged meanwhile. Each change of a record
//! has a number, so that a reader requests what changed after the last number that it knows. Nothing waits for a reader.

mod body;
mod layer;
mod record;
mod show;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use http::{Request, Response};
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::{Body, Context, Event};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};

use body::{Captured, Rest};
pub use layer::HistoryLayer;
use record::Record;
pub(crate) use record::{Content, Ending};
pub(crate) use show::{Changes, hex};

/// The most records, and the most bytes of their contents together.
const RECORDS: usize = 10_000;
const BYTES: usize = 32 * 1024 * 1024;

/// The last number that a record can have: JavaScript has no larger integers.
const LAST: u64 = 1 << 53;

/// How many events are recorded in each tenth of a second while nothing reads them: a load test must not measure the history.
const UNREAD: u64 = 100;

/// The events of one process. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct History(Option<Arc<Inner>>);

#[derive(Default)]
struct Inner {
    ring: Mutex<Ring>,
    changed: Notify,
    readers: AtomicUsize,
    pace: Pace,
}

/// Counts the events of the current tenth of a second.
struct Pace {
    since: Instant,
    /// The number of the tenth since the start, and in the lower half the events in it.
    now: AtomicU64,
    unrecorded: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { since: Instant::now(), now: AtomicU64::new(0), unrecorded: AtomicU64::new(0) }
    }
}

impl Pace {
    /// Whether there is room for one more event. Two threads may count one event both, which does no harm.
    fn admits(&self) -> bool {
        let elapsed = self.since.elapsed();
        let tenth = elapsed.as_secs() * 10 + u64::from(elapsed.subsec_millis() / 100);
        let now = self.now.load(Ordering::Relaxed);
        let count = if now >> 32 == tenth { now & u64::from(u32::MAX) } else { 0 };
        let admits = count < UNREAD;
        match admits {
            true => self.now.store(tenth << 32 | (count + 1), Ordering::Relaxed),
            false => _ = self.unrecorded.fetch_add(1, Ordering::Relaxed),
        }
        admits
    }
}

#[derive(Default)]
struct Ring {
    /// The last number of a record or of a change.
    last: u64,
    bytes: usize,
    /// In the order of their ids.
    records: VecDeque<Record>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.0.as_ref().map(|inner| inner.ring.lock().records.len());
        f.debug_struct("History").field("records", &records).finish()
    }
}

impl Inner {
    fn change(&self, id: u64, change: impl FnOnce(&mut Record)) {
        self.ring.lock().change(id, change);
        self.changed.notify_waiters();
    }

    /// Counts the bytes of a record again.
    fn count(self: &Arc<Self>, id: u64) -> impl Fn() + Send + Sync + 'static {
        let inner = Arc::downgrade(self);
        move || {
            if let Some(inner) = inner.upgrade() {
                inner.change(id, |_| {});
            }
        }
    }
}

impl Ring {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn find(&mut self, id: u64) -> Option<&mut Record> {
        let at = self.records.binary_search_by_key(&id, |record| record.id).ok()?;
        self.records.get_mut(at)
    }

    /// Changes a record, and forgets the oldest ones where all are too large together.
    fn change(&mut self, id: u64, change: impl FnOnce(&mut Record)) {
        let number = self.next();
        let Some(record) = self.find(id) else { return };
        change(record);
        record.changed = number;
        let now = record.bytes();
        let before = std::mem::replace(&mut record.counted, now);
        self.bytes = self.bytes - before + now;
        self.forget();
    }

    fn forget(&mut self) {
        while self.records.len() > RECORDS || (self.bytes > BYTES && self.records.len() > 1) {
            if let Some(oldest) = self.records.pop_front() {
                self.bytes -= oldest.counted;
            }
        }
    }
}

impl History {
    /// An empty history.
    pub(crate) fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// The history of the layer in the current subscriber, which has the log lines; without one a history of its own.
    pub(crate) fn of_subscriber() -> Self {
        tracing::dispatcher::get_default(|subscriber| {
            subscriber.downcast_ref::<HistoryLayer>().map(HistoryLayer::history)
        })
        .unwrap_or_else(Self::new)
    }

    fn records(&self, again: bool) -> bool {
        let records = |inner: &Inner| again || inner.readers.load(Ordering::Relaxed) > 0 || inner.pace.admits();
        self.0.as_deref().is_some_and(records)
    }

    /// How many events were not recorded, because nothing read the history and there were too many.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.pace.unrecorded.load(Ordering::Relaxed))
    }

    /// Records a request from now on. The returned one must be handled in its place, since its body is recorded while it is
    /// read.
    pub(crate) fn begin_request(&self, request: Request<Body>, cx: &Context, again: bool) -> (Request<Body>, Running) {
        if !self.records(again) {
            return (request, Running::default());
        }
        let (content, request) = Content::of_request(request);
        let running = self.add(content, cx, again);
        (request, running)
    }

    /// Records an event of another kind from now on.
    pub(crate) fn begin(&self, event: &Event, cx: &Context, again: bool) -> Running {
        match self.records(again).then(|| Content::of_event(event)).flatten() {
            Some(content) => self.add(content, cx, again),
            None => Running::default(),
        }
    }

    fn add(&self, content: Content, cx: &Context, again: bool) -> Running {
        let Some(inner) = &self.0 else { return Running::default() };
        let (now, mut ring) = (cx.now(), inner.ring.lock());
        // A later process has larger numbers, so that a reader can go on after a restart.
        ring.last = ring.last.max(to_millis(now).saturating_mul(1_000).min(LAST / 2));
        let id = ring.next();
        if let Some(body) = content.body() {
            body.on_end(inner.count(id));
        }
        let mut record = Record::new(id, content, cx, now, again);
        record.counted = record.bytes();
        ring.bytes += record.counted;
        ring.records.push_back(record);
        ring.forget();
        drop(ring);
        inner.changed.notify_waiters();
        Running(Some(Begun { inner: Arc::clone(inner), id, at: Instant::now() }))
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Record)) {
        if let Some(inner) = &self.0 {
            inner.change(id, change);
        }
    }

    /// Counts a reader until this is dropped: bodies of all responses are recorded meanwhile.
    pub(crate) fn reader(&self) -> Reader {
        if let Some(inner) = &self.0 {
            inner.readers.fetch_add(1, Ordering::Relaxed);
        }
        Reader(self.clone())
    }

    /// Ends at the next change after its first poll; without a history, never.
    pub(crate) fn changed(&self) -> Option<Notified<'_>> {
        self.0.as_ref().map(|inner| inner.changed.notified())
    }

    /// What a record has to be handled again; `None` where it is no longer there or was not recorded as a whole.
    pub(crate) fn content(&self, id: u64) -> Option<Content> {
        let mut ring = self.0.as_ref()?.ring.lock();
        ring.find(id).map(|record| record.content.clone()).filter(Content::is_whole)
    }
}

/// A reader of the history.
pub(crate) struct Reader(pub(crate) History);

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(inner) = &self.0.0 {
            inner.readers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// An event that is handled now. Where this is dropped without an end, nothing received the result.
#[derive(Default)]
pub(crate) struct Running(Option<Begun>);

struct Begun {
    inner: Arc<Inner>,
    id: u64,
    at: Instant,
}

impl Running {
    /// The id of the record; `None` without a history.
    pub(crate) fn id(&self) -> Option<u64> {
        self.0.as_ref().map(|event| event.id)
    }

    /// Makes the log lines and the operations of a call part of the record.
    ///
    /// It takes a reference: the futures of calls are large, and each move of one is a copy.
    pub(crate) fn run<'a, F: Future>(&self, call: Pin<&'a mut F>) -> Instrumented<Pin<&'a mut F>> {
        call.instrument(self.id().map_or_else(Span::none, layer::record_span))
    }

    /// Ends a request. The body of a failed response is recorded while it is sent; that of any response while a client reads
    /// the history.
    pub(crate) fn respond(mut self, response: Response<Body>) -> Response<Body> {
        let Some(event) = self.0.take() else { return response };
        let status = response.status();
        let is_recorded = status.as_u16() >= 400 || event.inner.readers.load(Ordering::Relaxed) > 0;
        let body = is_recorded.then(Captured::new);
        if let Some(body) = &body {
            body.on_end(event.inner.count(event.id));
        }
        event.end(Ending::Response { status, headers: record::head(response.headers()), body: body.clone() });
        match body {
            Some(captured) => response.map(|body| captured.record(body, Rest::Leave)),
            None => response,
        }
    }

    /// Ends an event of another kind.
    pub(crate) fn end(mut self, ending: Ending) {
        if let Some(event) = self.0.take() {
            event.end(ending);
        }
    }
}

impl Begun {
    fn end(self, ending: Ending) {
        let took = self.at.elapsed();
        self.inner.change(self.id, |record| record.ended = Some((took, ending)));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(event) = self.0.take() {
            event.end(Ending::Gone);
        }
    }
}
