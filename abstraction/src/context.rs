//! The context of an invocation, for handlers and hosts.
//!
//! Deadline, trace and clock are one value that a host makes, so that a handler behaves the same on every host, and a test
//! can set all of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum_core::extract::FromRequestParts;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::request::Parts;

use crate::Error;
use crate::clock::{Clock, later};

/// The context of one invocation: its id, deadline, attempt, trace parent and provider. Cheap to clone.
///
/// An axum handler takes it as an extractor; every other handler receives it as an argument. The calls of tables, buckets
/// and topics that a handler makes use the deadline and the trace without it; in a new task they do so if `isobar::spawn`
/// started the task.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum::{Router, routing::get};
/// use isobar_abstraction::{App, Cloud, Context, TestClient};
///
/// async fn about(cx: Context) -> String {
///     let left = cx.remaining().map_or(0, |left| left.as_secs());
///     format!("{} has {left} s for attempt {}", cx.provider(), cx.attempt())
/// }
///
/// let client = TestClient::new(|_: &Cloud| App::new("about").http(Router::new().route("/", get(about))))?;
/// assert_eq!(client.get("/").await?.text(), "memory has 29 s for attempt 1");
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    invocation_id: Arc<str>,
    provider: &'static str,
    function: Option<Arc<str>>,
    attempt: u32,
    deadline: Option<SystemTime>,
    trace_parent: TraceParent,
    clock: Arc<dyn Clock>,
}

impl Context {
    /// For hosts: the context of an invocation with a random id, a new trace, attempt 1 and no deadline.
    ///
    /// A host must set a deadline where its platform has one, and pass its provider's clock.
    pub fn new(provider: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self::with_id(provider, clock, random_id())
    }

    /// For hosts: [`new`](Self::new) with the platform's id of the invocation.
    pub fn with_id(provider: &'static str, clock: Arc<dyn Clock>, id: impl Into<Arc<str>>) -> Self {
        let trace_parent = TraceParent::random();
        Self(Arc::new(Inner {
            invocation_id: id.into(),
            provider,
            function: None,
            attempt: 1,
            deadline: None,
            trace_parent,
            clock,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// For hosts: sets the platform's id of the invocation.
    #[must_use]
    pub fn with_invocation_id(self, id: impl Into<Arc<str>>) -> Self {
        self.with(|inner| inner.invocation_id = id.into())
    }

    /// For hosts: sets the platform's name of the function.
    #[must_use]
    pub fn with_function(self, name: impl Into<Arc<str>>) -> Self {
        self.with(|inner| inner.function = Some(name.into()))
    }

    /// For hosts: sets the time at which the handler is dropped. It must be before the end of the platform's own deadline,
    /// so that there is time to send the reply.
    #[must_use]
    pub fn with_deadline(self, deadline: SystemTime) -> Self {
        self.with(|inner| inner.deadline = Some(deadline))
    }

    /// For hosts: sets the deadline to `timeout` from now.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let deadline = later(self.now(), timeout);
        self.with_deadline(deadline)
    }

    /// For hosts: sets the delivery attempt, starting at 1.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        self.with(|inner| inner.attempt = attempt)
    }

    /// For hosts: sets the trace, as the parent that this invocation continues.
    #[must_use]
    pub fn with_trace_parent(self, parent: TraceParent) -> Self {
        self.with(|inner| inner.trace_parent = parent)
    }

    /// For hosts: makes this invocation a child of the trace in the header `traceparent`. Without a valid header the trace
    /// does not change.
    #[must_use]
    pub fn with_trace_of(self, headers: &HeaderMap) -> Self {
        let parent = headers.get(TraceParent::NAME).and_then(|value| value.to_str().ok()?.parse::<TraceParent>().ok());
        match parent {
            Some(parent) => self.with_trace_parent(parent.child()),
            None => self,
        }
    }

    /// The id of this invocation: that of the platform, which its logs contain too, or 32 random hexadecimal digits.
    ///
    /// HTTP responses have it in the header `x-request-id`. A redelivery is a new invocation with a new id: to recognize a
    /// message, use [`Message::id`](crate::pub_sub::Message::id).
    pub fn invocation_id(&self) -> &str {
        &self.0.invocation_id
    }

    /// The name of the provider: `memory`, `local`, `aws`, `azure`, `gcp`, or the name of another adapter.
    pub fn provider(&self) -> &'static str {
        self.0.provider
    }

    /// The platform's name of the deployed function; `None` where the platform has no such name.
    pub fn function(&self) -> Option<&str> {
        self.0.function.as_deref()
    }

    /// The delivery attempt, starting at 1. It counts for messages, object events and writes; for other events it is 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The time at which the handler is dropped, a little before the platform ends the invocation; `None` where the host
    /// has no limit.
    ///
    /// It is 29 seconds after the start for HTTP, and 5 minutes for other events: see
    /// [`Limits`](crate::profile::Limits).
    pub fn deadline(&self) -> Option<SystemTime> {
        self.0.deadline
    }

    /// The time until the deadline, zero after it; `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.0.deadline?;
        Some(deadline.duration_since(self.0.clock.now()).unwrap_or_default())
    }

    /// The time of the provider's clock. With it, and not `SystemTime::now`, a test can set the time by
    /// [`TestClient::advance`](crate::TestClient::advance).
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Waits for `duration` on the provider's clock.
    pub(crate) fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.clock.sleep(duration)
    }

    /// The trace id in the form of the logs.
    pub(crate) fn trace_id(&self) -> Arc<str> {
        self.0.trace_parent.trace_id_text()
    }

    /// The trace parent of this invocation, to pass on with a request: published messages carry it without that.
    pub fn trace_parent(&self) -> TraceParent {
        self.0.trace_parent
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Error::internal("the request was not sent through an isobar host; use TestClient in tests"))
    }
}

/// A W3C Trace Context `traceparent`, version 00 (<https://www.w3.org/TR/trace-context/>).
///
/// ```
/// use isobar_abstraction::TraceParent;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse().unwrap();
/// assert_eq!(parent.to_string(), text);
/// assert!("00-0-0-00".parse::<TraceParent>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl TraceParent {
    /// The name of the message attribute and the HTTP header that carries it.
    pub const NAME: &str = "traceparent";

    /// The root of a new trace, with random ids and the flag `sampled`.
    pub fn random() -> Self {
        let bytes: [u8; 24] = random();
        let (mut trace_id, mut parent_id) = ([0; 16], [0; 8]);
        trace_id.copy_from_slice(&bytes[..16]);
        parent_id.copy_from_slice(&bytes[16..]);
        // Zero is not a valid id of either kind.
        let (trace_id, parent_id) = (u128::from_be_bytes(trace_id).max(1), u64::from_be_bytes(parent_id).max(1));
        Self { trace_id, parent_id, flags: 1 }
    }

    /// A trace parent with these ids; `None` if one of them is zero, which is not an id.
    pub fn new(trace_id: u128, parent_id: u64, sampled: bool) -> Option<Self> {
        (trace_id != 0 && parent_id != 0).then_some(Self { trace_id, parent_id, flags: sampled.into() })
    }

    /// The same trace with a new span as the parent.
    #[must_use]
    pub fn child(self) -> Self {
        Self { parent_id: u64::from_be_bytes(random()).max(1), ..self }
    }

    /// The 128-bit id of the trace, which all its spans share.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    fn trace_id_text(self) -> Arc<str> {
        hex(self.trace_id.to_be_bytes())
    }
}

/// Random bytes of the operating system. Clients see ids made from them, and outputs of `fastrand` would reveal its state
/// and so its next numbers. Where the system has no randomness, an id that can be guessed is better than none.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    bytes
}

/// 32 random hexadecimal digits.
pub(crate) fn random_id() -> Arc<str> {
    hex(random())
}

fn hex(bytes: [u8; 16]) -> Arc<str> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (place, byte) in text.chunks_exact_mut(2).zip(bytes) {
        place[0] = HEX[usize::from(byte >> 4)];
        place[1] = HEX[usize::from(byte & 15)];
    }
    Arc::from(std::str::from_utf8(&text).unwrap_or_default())
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse_trace_parent(text).ok_or_else(|| Error::invalid_input("not a W3C traceparent of version 00"))
    }
}

fn parse_trace_parent(text: &str) -> Option<TraceParent> {
    let lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    let parts: Vec<&str> = text.trim().split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { return None };
    let sizes = version == "00" && trace.len() == 32 && parent.len() == 16 && flags.len() == 2;
    if !sizes || ![trace, parent, flags].into_iter().all(lower) {
        return None;
    }
    let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent_id = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(TraceParent { trace_id, parent_id, flags })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn ids_are_not_outputs_of_fastrand() {
        let mut ids = HashSet::new();
        for _ in 0..2 {
            // The same seed gives the same numbers again.
            fastrand::seed(7);
            let cx = Context::new("memory", Arc::new(ManualClock::default()));
            let child = cx.trace_parent().child();
            let spans = [cx.trace_parent().parent_id, child.parent_id].map(|id| format!("{id:016x}"));
            let made = [cx.invocation_id().to_owned(), cx.trace_id().to_string()].into_iter().chain(spans);
            for id in made {
                assert!(ids.insert(id.clone()), "{id} is not unique");
            }
            assert_eq!((cx.invocation_id().len(), child.trace_id()), (32, cx.trace_parent().trace_id()));
        }
    }
}
