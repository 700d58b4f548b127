//! Limits and time-outs.

use std::time::Duration;

use isobar_abstraction::driver::Limits;

/// How a server treats its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Most headers of a request. A request with more is answered 431.
    pub headers: usize,
    /// How long a client may take for the head of a request, the first or a later one of its connection. A
    /// connection without a request is closed after this time, too, and one whose client reads nothing of what
    /// is sent to it. A handler, or a body that waits for its next part, may take longer.
    pub head_timeout: Duration,
    /// How long requests that were received before the stop may take to end.
    pub grace: Duration,
}

impl Options {
    /// 30 s for a head, no time after the stop, and as many headers as the provider takes.
    pub fn new(limits: &Limits) -> Self {
        Self {
            headers: usize::try_from(limits.request_headers).unwrap_or(usize::MAX),
            head_timeout: Duration::from_secs(30),
            grace: Duration::ZERO,
        }
    }

    /// The same with another time for what runs when the server stops.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// Most bytes of the head of a request, its first line and all headers. The events of a platform have larger ones
/// than an app may see: a message of Pub/Sub with all its attributes as headers has up to 130 KB.
pub(crate) const HEAD_BYTES: usize = 256 * 1024;

/// Once the server stops, a client that has begun to send its first request may send the rest of its head for so
/// long. Whoever has not sent it by then gets no answer. A connection without a request has the same time where others
/// wait for room, and before it is closed.
pub(crate) const LATE_HEAD: Duration = Duration::from_millis(500);
