//! The activity of one connection: whether the app handles a request of it, and how long it has been idle.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use isobar_abstraction::Body;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::options::LATE_HEAD;

/// One for each connection. A request allocates nothing for it, and starts no timer.
pub(crate) struct Activity {
    opened: Instant,
    /// Milliseconds from `opened` to the last event: the app ended its work on a request, or bytes were written.
    last: AtomicU64,
    has_request: AtomicBool,
    /// How many requests the app works on now.
    running: AtomicUsize,
    /// Bytes wait until the client reads what was sent before.
    blocked: AtomicBool,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            opened: Instant::now(),
            last: AtomicU64::new(0),
            has_request: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            blocked: AtomicBool::new(false),
        }
    }

    /// Counts a request from now on.
    pub(crate) fn begin(self: &Arc<Self>) -> Working {
        self.has_request.store(true, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Working { activity: Arc::clone(self), counted: true }
    }

    /// Whether the connection has had a request.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_request.load(Ordering::Relaxed)
    }

    /// Ends when the server has waited for the client for this time: for a request, or until it reads.
    ///
    /// Hyper itself bounds neither the wait for the first byte of a connection, which says what version of HTTP it
    /// is, nor that for a request of HTTP/2, nor a write.
    pub(crate) async fn quiet(&self, most: Duration) {
        let mut wait = most;
        loop {
            sleep(wait).await;
            wait = match self.quiet_for() {
                Some(quiet) if quiet >= most => return,
                Some(quiet) => most.saturating_sub(quiet),
                None => most,
            };
        }
    }

    /// Ends when other clients wait for a connection and this one has no request.
    pub(crate) async fn in_the_way(&self, crowded: &Notify) {
        loop {
            crowded.notified().await;
            sleep(LATE_HEAD).await;
            let is_idle = !self.blocked.load(Ordering::Relaxed);
            if is_idle && self.quiet_for().is_some_and(|quiet| quiet >= LATE_HEAD) {
                return;
            }
        }
    }

    /// How long the server has waited for the client; `None` while it works for it.
    fn quiet_for(&self) -> Option<Duration> {
        let works = self.running.load(Ordering::Acquire) > 0 && !self.blocked.load(Ordering::Relaxed);
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        (!works).then(|| self.opened.elapsed().saturating_sub(last))
    }

    fn touch(&self) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// Notes what became of a write. What HTTP/2 writes before the first request does not count: a client that only
    /// sends settings and pings has no request.
    fn wrote(&self, is_blocked: bool) {
        let was_blocked = self.blocked.load(Ordering::Relaxed);
        self.blocked.store(is_blocked, Ordering::Relaxed);
        if self.has_begun() && !(is_blocked && was_blocked) {
            self.touch();
        }
    }
}

/// A request that the app may work on. It counts until its response, and again while its body has no next part.
pub(crate) struct Working {
    activity: Arc<Activity>,
    counted: bool,
}

impl Working {
    pub(crate) fn sends(mut self, body: Body) -> Sent {
        self.count(false);
        Sent { body, working: self }
    }

    fn count(&mut self, counted: bool) {
        if std::mem::replace(&mut self.counted, counted) == counted {
            return;
        }
        if counted {
            self.activity.running.fetch_add(1, Ordering::Relaxed);
        } else {
            self.activity.touch();
            self.activity.running.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.count(false);
    }
}

/// The body of a response. While it is pending, the server waits for the app; else for the client.
pub(crate) struct Sent {
    body: Body,
    working: Working,
}

impl HttpBody for Sent {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(task);
        this.working.count(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes its writes.
pub(crate) struct Watched {
    stream: TokioIo<TcpStream>,
    activity: Arc<Activity>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream: TokioIo::new(stream), activity }
    }
}

impl Read for Watched {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, into)
    }
}

impl Write for Watched {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(task, bytes);
        self.activity.wrote(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(task, parts);
        self.activity.wrote(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A socket has nothing to flush, and its shutdown does not wait.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
