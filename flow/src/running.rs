//! A workflow in a turn: it runs until it waits, and receives one record at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use isobar_abstraction::Result;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use crate::flow::{Flow, Inner};
use crate::replay::{Calls, State};
use crate::row::{CallKind, Entry, Record};
use crate::store::encode;

/// A workflow without its types: from the JSON of its input to that of its output.
pub(crate) type Program = dyn Fn(Flow, Box<RawValue>) -> BoxFuture<'static, Result<Box<RawValue>>> + Send + Sync;

/// The workflow in this turn.
pub(crate) struct Running {
    pub(crate) calls: Arc<Calls>,
    /// Behind a lock, so that a future of the turn can be sent between threads.
    root: Mutex<BoxFuture<'static, Result<Box<RawValue>>>>,
    pub(crate) output: Option<Result<Box<RawValue>>>,
    /// Why the compensations run: the record of the end.
    pub(crate) end: Option<Record>,
    flow: Flow,
    quiet: u32,
    waker: Arc<RootWaker>,
}

/// Remembers that the workflow was woken, and wakes the turn.
#[derive(Default)]
struct RootWaker {
    is_woken: AtomicBool,
    turn: AtomicWaker,
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.turn.wake();
    }
}

/// How often the turn looks at a workflow that waits for no call before it stalls the run.
const QUIET: u32 = 20;

/// The polls of a workflow that wakes itself before the turn looks at its calls.
const POLLS: usize = 1_000;

impl Running {
    pub(crate) fn new(program: &Program, inner: Inner, input: Box<RawValue>) -> Self {
        let calls = Arc::clone(&inner.calls);
        let flow = Flow::new(inner);
        calls.with(|state| state.enter(Some(std::thread::current().id())));
        // The workflow is made by its first poll, so that a panic of it is found there.
        let root = catch_unwind(AssertUnwindSafe(|| program(flow.clone(), input)));
        calls.with(|state| state.enter(None));
        let root = root.unwrap_or_else(|_| {
            calls.with(|state| state.stop_for("the workflow panicked"));
            Box::pin(std::future::pending())
        });
        Self { calls, root: Mutex::new(root), output: None, end: None, flow, quiet: 0, waker: Arc::default() }
    }

    /// Runs the workflow until it waits.
    pub(crate) fn poll(&mut self) {
        let waker = Waker::from(Arc::clone(&self.waker));
        for _ in 0..POLLS {
            if self.output.is_some() || self.calls.with(|state| state.stop.is_some() || state.failure.is_some()) {
                return;
            }
            self.waker.is_woken.store(false, Ordering::Release);
            self.calls.with(|state| state.enter(Some(std::thread::current().id())));
            let root = self.root.get_mut();
            let polled = catch_unwind(AssertUnwindSafe(|| root.as_mut().poll(&mut Context::from_waker(&waker))));
            self.calls.with(|state| state.enter(None));
            match polled {
                Ok(Poll::Ready(output)) => self.output = Some(output),
                Ok(Poll::Pending) if self.waker.is_woken.load(Ordering::Acquire) => {}
                Ok(Poll::Pending) => return,
                Err(_) => self.calls.with(|state| state.stop_for("the workflow panicked outside of a step")),
            }
        }
    }

    /// Delivers an entry, after the sleeps that ended before it.
    pub(crate) fn deliver(&mut self, entry: &Entry) {
        while let Some(sleep) = self.calls.with(|state| state.next_sleep(entry.time)) {
            self.calls.with(|state| state.end_sleep(sleep));
            self.poll();
        }
        match entry.kind {
            CallKind::End => self.compensate(entry),
            _ => self.calls.with(|state| state.deliver(entry)),
        }
        self.poll();
    }

    /// Drops the workflow, and runs its compensations in its place.
    fn compensate(&mut self, entry: &Entry) {
        self.end = Some(entry.record.clone());
        self.output = None;
        *self.root.get_mut() = Box::pin(std::future::pending());
        let undo = self.calls.with(|state| {
            state.now = state.now.max(entry.time);
            state.is_closing = false;
            std::mem::take(&mut state.undo)
        });
        let flow = self.flow.clone();
        *self.root.get_mut() = async move { flow.compensate(undo).await.and_then(|()| encode(&())) }.boxed();
    }

    /// Has nothing woken the workflow for some time, although it waits for no call?
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.quiet = if self.waker.is_woken.load(Ordering::Acquire) { 0 } else { self.quiet + 1 };
        self.quiet > QUIET
    }

    /// Waits until the workflow can go on.
    pub(crate) async fn woken(&self) {
        std::future::poll_fn(|cx| {
            self.waker.turn.register(cx.waker());
            if self.waker.is_woken.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(crate) fn state<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        self.calls.with(read)
    }
}
