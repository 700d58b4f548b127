//! Limits and timeouts.

use std::time::Duration;

use isobar_abstraction::driver::Limits;

/// The limits and timeouts of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The most headers of a request. The response to one with more has status 431.
    pub headers: usize,
    /// The longest time for the head of a request, the first or a later one of a connection. After this time the
    /// server also closes a connection without a request, and one whose client does not read the response. A
    /// handler, or a body that waits for its next part, may take longer.
    pub head_timeout: Duration,
    /// How long requests that were received before the stop may continue.
    pub grace: Duration,
}

impl Options {
    /// 30 s for a head, no grace period, and the provider's limit of headers.
    pub fn new(limits: &Limits) -> Self {
        Self {
            headers: usize::try_from(limits.request_headers).unwrap_or(usize::MAX),
            head_timeout: Duration::from_secs(30),
            grace: Duration::ZERO,
        }
    }

    /// Sets the grace period of requests in progress when the server stops.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// The most bytes of the head of a request: its first line and all headers. A platform's events have larger heads than
/// an app's requests: a Pub/Sub message with all its attributes as headers has up to 130 KB.
pub(crate) const HEAD_BYTES: usize = 256 * 1024;

/// How long a client that has begun its first request may send the rest of the head after the server stops; later it
/// receives no response. A connection without a request has the same time while others wait for a connection, and before
/// it is closed.
pub(crate) const LATE_HEAD: Duration = Duration::from_millis(500);
