//! The body of a request or a response, recorded while it is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use isobar_abstraction::Body;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The most bytes of one body: those of a message that any cloud accepts.
const LARGEST: usize = 256 * 1024;

/// How long the rest of a small body may take that the app did not read.
const REST: Duration = Duration::from_secs(5);

/// The recorded bytes. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Bits>>);

/// Called when a body has ended, so that its bytes are counted.
type OnEnd = Arc<dyn Fn() + Send + Sync>;

/// What happens to the rest of a body that is dropped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// It is read and recorded, for a handler that rejects a request early: to run it again needs the body.
    Read,
    Leave,
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    size: u64,
    ended: bool,
    on_end: Option<OnEnd>,
}

impl Bits {
    fn is_whole(&self) -> bool {
        self.ended && self.size == self.bytes.len() as u64
    }
}

impl Captured {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What was recorded of a body of this size.
    pub(super) fn of(bytes: Vec<u8>, size: u64, ended: bool) -> Self {
        Self(Arc::new(Mutex::new(Bits { bytes, size, ended, on_end: None })))
    }

    /// Sets what is called when the body has ended.
    pub(super) fn on_end(&self, run: impl Fn() + Send + Sync + 'static) {
        self.0.lock().on_end = Some(Arc::new(run));
    }

    /// The body, recorded from now on. `rest` is what to do with a small rest that is not read.
    pub(super) fn record(&self, body: Body, rest: Rest) -> Body {
        if body.is_end_stream() {
            self.0.lock().ended = true;
            return body;
        }
        Body::new(Recorded { body, into: self.clone(), rest })
    }

    /// All bytes, where the body was read to its end and is not too large.
    pub(super) fn whole(&self) -> Option<Bytes> {
        let bits = self.0.lock();
        bits.is_whole().then(|| Bytes::copy_from_slice(&bits.bytes))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.0.lock().is_whole()
    }

    /// The recorded bytes, the size so far, and whether these are all.
    pub(super) fn read<T>(&self, read: impl FnOnce(&[u8], u64, bool) -> T) -> T {
        let bits = self.0.lock();
        read(&bits.bytes, bits.size, bits.is_whole())
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().bytes.len()
    }

    fn add(&self, data: &[u8]) {
        let mut bits = self.0.lock();
        bits.size += data.len() as u64;
        if bits.size <= LARGEST as u64 {
            bits.bytes.extend_from_slice(data);
        }
    }
}

struct Recorded {
    body: Body,
    into: Captured,
    rest: Rest,
}

impl HttpBody for Recorded {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(task));
        match &frame {
            Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| self.into.add(data)),
            Some(Err(_)) => {}
            None => self.into.0.lock().ended = true,
        }
        if self.body.is_end_stream() {
            self.into.0.lock().ended = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let on_end = self.into.0.lock().on_end.clone();
        if let Some(run) = on_end {
            run();
        }
        let is_small = self.body.size_hint().upper().is_some_and(|size| size <= LARGEST as u64);
        if self.rest == Rest::Leave || !is_small || self.into.0.lock().ended {
            return;
        }
        let mut rest = Self { body: std::mem::take(&mut self.body), into: self.into.clone(), rest: Rest::Leave };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(REST, async move { while let Some(Ok(_)) = rest.frame().await {} }));
        }
    }
}
