//! What a handler knows of the invocation it serves.

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

/// One invocation: its id, deadline, attempt, trace parent and provider. Cheap to clone.
///
/// An axum handler takes it as an argument, like any extractor; every other handler gets it. The calls of tables,
/// buckets and topics find deadline and trace by themselves, where a handler makes them: in a task of
/// its own they do if `isobar::spawn` starts it.
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
    /// For hosts: the context of a new invocation, with an id and a trace of its own.
    pub fn new(provider: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self::with_id(provider, clock, hex(random()))
    }

    /// For hosts: the context of a new invocation, by the id that the platform gave.
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

    /// For hosts: the id that the platform gave.
    #[must_use]
    pub fn with_invocation_id(self, id: impl Into<Arc<str>>) -> Self {
        self.with(|inner| inner.invocation_id = id.into())
    }

    /// For hosts: the platform's name of the function that was called.
    #[must_use]
    pub fn with_function(self, name: impl Into<Arc<str>>) -> Self {
        self.with(|inner| inner.function = Some(name.into()))
    }

    /// For hosts: when the handler must be done, a little before the platform ends the invocation.
    #[must_use]
    pub fn with_deadline(self, deadline: SystemTime) -> Self {
        self.with(|inner| inner.deadline = Some(deadline))
    }

    /// For hosts: the invocation may take so long, from now.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let deadline = later(self.now(), timeout);
        self.with_deadline(deadline)
    }

    /// For hosts: the how-manieth delivery this is, from 1.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Self {
        self.with(|inner| inner.attempt = attempt)
    }

    /// For hosts: the caller's trace, of which this invocation is a child.
    #[must_use]
    pub fn with_trace_parent(self, parent: TraceParent) -> Self {
        self.with(|inner| inner.trace_parent = parent)
    }

    /// For hosts: the trace in the header `traceparent`, of which this invocation is a child. Without a valid one it
    /// keeps the trace that it has.
    #[must_use]
    pub fn with_trace_of(self, headers: &HeaderMap) -> Self {
        let parent = headers.get(TraceParent::NAME).and_then(|value| value.to_str().ok()?.parse::<TraceParent>().ok());
        match parent {
            Some(parent) => self.with_trace_parent(parent.child()),
            None => self,
        }
    }

    /// The id of this invocation, as the platform's own logs show it.
    pub fn invocation_id(&self) -> &str {
        &self.0.invocation_id
    }

    /// The name of the provider that this runs on: `memory`, `local`, `aws`, `azure`, `gcp`, or that of somebody else's.
    pub fn provider(&self) -> &'static str {
        self.0.provider
    }

    /// The platform's name of the function, where it has one.
    pub fn function(&self) -> Option<&str> {
        self.0.function.as_deref()
    }

    /// The how-manieth delivery this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// When the handler must be done, a little before the platform ends the invocation.
    pub fn deadline(&self) -> Option<SystemTime> {
        self.0.deadline
    }

    /// The time left to the deadline; zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        let deadline = self.0.deadline?;
        Some(deadline.duration_since(self.0.clock.now()).unwrap_or_default())
    }

    /// The time now, on the provider's clock. Use it rather than the machine's, and tests can move it.
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    /// Ends when `duration` has passed on the provider's clock.
    pub(crate) fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.clock.sleep(duration)
    }

    /// The trace id, as logs show it.
    pub(crate) fn trace_id(&self) -> Arc<str> {
        self.0.trace_parent.trace_id_text()
    }

    /// The W3C trace parent of this invocation.
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
            .ok_or_else(|| Error::internal("the request did not come through an isobar host; use TestClient in tests"))
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
    /// The message attribute and HTTP header that carries it.
    pub const NAME: &str = "traceparent";

    /// The root of a new trace.
    pub fn random() -> Self {
        let bytes: [u8; 24] = random();
        let (mut trace_id, mut parent_id) = ([0; 16], [0; 8]);
        trace_id.copy_from_slice(&bytes[..16]);
        parent_id.copy_from_slice(&bytes[16..]);
        // Zero is not a valid id of either kind.
        let (trace_id, parent_id) = (u128::from_be_bytes(trace_id).max(1), u64::from_be_bytes(parent_id).max(1));
        Self { trace_id, parent_id, flags: 1 }
    }

    /// From its ids; `None` where one of them is zero, which is no id.
    pub fn new(trace_id: u128, parent_id: u64, sampled: bool) -> Option<Self> {
        (trace_id != 0 && parent_id != 0).then_some(Self { trace_id, parent_id, flags: sampled.into() })
    }

    /// The same trace, seen from a new span.
    #[must_use]
    pub fn child(self) -> Self {
        Self { parent_id: u64::from_be_bytes(random()).max(1), ..self }
    }

    /// The 128-bit id that all spans of a trace share.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    fn trace_id_text(self) -> Arc<str> {
        hex(self.trace_id.to_be_bytes())
    }
}

/// Random bytes of the machine. Clients see ids that are made of them: the outputs of `fastrand` would show its
/// state, and so the numbers that it gives next. Without randomness an id that can be guessed is better than none.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    bytes
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
    fn no_id_is_an_output_of_fastrand() {
        let mut ids = HashSet::new();
        for _ in 0..2 {
            // The same seed gives the same numbers again.
            fastrand::seed(7);
            let cx = Context::new("memory", Arc::new(ManualClock::default()));
            let child = cx.trace_parent().child();
            let spans = [cx.trace_parent().parent_id, child.parent_id].map(|id| format!("{id:016x}"));
            let made = [cx.invocation_id().to_owned(), cx.trace_id().to_string()].into_iter().chain(spans);
            for id in made {
                assert!(ids.insert(id.clone()), "{id} is there twice");
            }
            assert_eq!((cx.invocation_id().len(), child.trace_id()), (32, cx.trace_parent().trace_id()));
        }
    }
}
