//! The calls of a workflow and what the journal says of them.
//!
//! A workflow runs from its beginning in each turn. Its calls return what the journal recorded, in the order in which it was
//! recorded: one entry at a time, and the workflow runs until it waits before the next. So the calls of a workflow whose code
//! depends on nothing else are the same in every turn, also where branches run in parallel, and each call can be compared
//! with its entry by number, kind and name.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread::ThreadId;

use futures_util::future::BoxFuture;
use isobar_abstraction::{BoxError, Error, Result};
use parking_lot::Mutex;
use serde_json::value::RawValue;

use crate::context::StepContext;
use crate::difference::{Difference, Stop};
use crate::draft::{Draft, Work};
use crate::message::CANCEL;
use crate::row::{Attempts, CallKind, Entry, Event, NO_CALL, Record, Stored};

/// The state of the calls of a workflow, shared by its [`Flow`](crate::Flow)s and its turn.
#[derive(Default)]
pub(crate) struct Calls(Mutex<State>);

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls")
    }
}

/// A compensation: its name and its body.
pub(crate) type Undo = (String, UndoBody);
pub(crate) type UndoBody = Box<dyn FnMut(StepContext) -> BoxFuture<'static, Result<(), BoxError>> + Send>;

/// Prevents the writes of an `apply` from now on; `true` if they were made.
pub(crate) type Prevent = Arc<dyn Fn() -> BoxFuture<'static, Result<bool>> + Send + Sync>;

#[derive(Default)]
pub(crate) struct State {
    calls: Vec<Call>,
    /// The next number of each name.
    numbers: HashMap<String, u32>,
    /// The entries by the number of their call; a call can have two.
    recorded: HashMap<u32, Vec<Entry>>,
    attempts: HashMap<String, Attempts>,
    /// Are all entries delivered?
    pub(crate) is_live: bool,
    /// The time of the workflow: that of the latest entry or sleep that it has seen.
    pub(crate) now: u64,
    pub(crate) drafts: Vec<Draft>,
    /// The bodies of steps that run.
    pub(crate) active: usize,
    /// The run cannot go on without a person.
    pub(crate) stop: Option<Stop>,
    /// The turn cannot go on: for example a value cannot be read now.
    pub(crate) failure: Option<Error>,
    pub(crate) events: Vec<(String, Event)>,
    /// The thread that runs the workflow now.
    thread: Option<ThreadId>,
    is_in_body: bool,
    /// No call begins any more, because the run is cancelled or the turn has no time.
    pub(crate) is_closing: bool,
    pub(crate) undo: Vec<Undo>,
    pub(crate) prevent: HashMap<u32, Prevent>,
    /// The input of the next generation.
    pub(crate) next_input: Option<Box<RawValue>>,
}

#[derive(Debug)]
struct Call {
    kind: CallKind,
    path: String,
    state: CallState,
    waker: Option<Waker>,
}

/// What a call waits for.
#[derive(Debug, Clone)]
pub(crate) enum CallState {
    /// For its time to run: a step that has not begun, or that runs.
    Open,
    Sleeping {
        until: u64,
    },
    Event {
        name: String,
        deadline: Option<u64>,
    },
    /// For its next attempt.
    Retry {
        at: u64,
    },
    /// For the commit of its draft.
    Drafted,
    Delivered(Record),
    /// The workflow has its result, or has dropped it.
    Closed,
}

/// The answer to a call that is polled.
#[derive(Debug)]
pub(crate) enum Polled {
    Recorded(Record),
    /// The call may run: nothing is recorded.
    Live,
}

impl Calls {
    pub(crate) fn new(entries: &[Entry], attempts: &[Attempts], created: u64) -> Arc<Self> {
        let mut recorded: HashMap<u32, Vec<Entry>> = HashMap::new();
        for entry in entries.iter().filter(|entry| entry.index != NO_CALL) {
            recorded.entry(entry.index).or_default().push(entry.clone());
        }
        let attempts = attempts.iter().map(|it| (it.path.clone(), it.clone())).collect();
        Arc::new(Self(Mutex::new(State { recorded, attempts, now: created, ..State::default() })))
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        read(&mut self.0.lock())
    }

    /// Begins a call: its number is the next one, and its path the scope and the name with its number among equals.
    pub(crate) fn call(&self, scope: &str, kind: CallKind, name: &str) -> u32 {
        self.with(|state| {
            state.check_thread();
            let path = state.path(scope, name);
            let index = u32::try_from(state.calls.len()).unwrap_or(u32::MAX);
            state.compare(index, kind, &path);
            state.calls.push(Call { kind, path, state: CallState::Open, waker: None });
            index
        })
    }

    /// The name of a scope: like a call it is counted, and unlike one it is not recorded.
    pub(crate) fn scope(&self, scope: &str, name: &str) -> String {
        self.with(|state| {
            state.check_thread();
            state.path(scope, name)
        })
    }

    pub(crate) fn poll(&self, index: u32, waker: &Waker) -> Poll<Polled> {
        self.with(|state| {
            state.check_thread();
            let is_live = state.is_live && !state.is_closing && !state.is_recorded(index);
            let is_stopped = state.stop.is_some() || state.failure.is_some();
            let Some(call) = state.calls.get_mut(index as usize) else { return Poll::Pending };
            if is_stopped {
                return Poll::Pending;
            }
            if let CallState::Delivered(record) = &call.state {
                let record = record.clone();
                call.state = CallState::Closed;
                return Poll::Ready(Polled::Recorded(record));
            }
            call.waker = Some(waker.clone());
            if is_live && matches!(call.state, CallState::Open) { Poll::Ready(Polled::Live) } else { Poll::Pending }
        })
    }

    /// Adds a draft to the next commit; the call waits for it.
    pub(crate) fn draft(&self, draft: Draft) {
        self.with(|state| {
            if let Some(call) =
                state.calls.get_mut(draft.index as usize).filter(|_| !matches!(draft.work, Work::Note(_)))
            {
                call.state = CallState::Drafted;
            }
            state.drafts.push(draft);
        });
    }

    pub(crate) fn set(&self, index: u32, to: CallState) {
        self.with(|state| state.set_state(index, to));
    }

    /// The call is dropped by the workflow, for example because another branch of a race was first.
    pub(crate) fn close(&self, index: u32) {
        self.with(|state| {
            state.drafts.retain(|draft| draft.index != index || matches!(draft.work, Work::Note(_)));
            if let Some(call) = state.calls.get_mut(index as usize) {
                (call.state, call.waker) = (CallState::Closed, None);
            }
        });
    }
}

impl State {
    pub(crate) fn set_state(&mut self, index: u32, to: CallState) {
        if let Some(call) = self.calls.get_mut(index as usize) {
            call.state = to;
        }
    }

    fn path(&mut self, scope: &str, name: &str) -> String {
        let name = format!("{scope}{name}");
        let number = self.numbers.entry(name.clone()).or_default();
        *number += 1;
        format!("{name}#{number}")
    }

    /// Compares a call with the entry of its number.
    fn compare(&mut self, index: u32, kind: CallKind, path: &str) {
        let Some(entry) = self.recorded.get(&index).and_then(|entries| entries.first()) else { return };
        if entry.kind != kind || entry.path != path {
            let found = format!("{kind} `{path}`");
            self.differs(index, &format!("{} `{}`", entry.kind, entry.path), &found);
        }
    }

    fn differs(&mut self, index: u32, expected: &str, found: &str) {
        let (expected, found) = (expected.to_owned(), found.to_owned());
        self.stop.get_or_insert(Stop::Difference(Difference { index, expected, found }));
    }

    pub(crate) fn is_recorded(&self, index: u32) -> bool {
        let is_result = |entry: &Entry| !entry.record.is_begin();
        self.recorded.get(&index).is_some_and(|entries| entries.iter().any(is_result))
    }

    /// The recorded end of a sleep.
    pub(crate) fn recorded_until(&self, index: u32) -> Option<u64> {
        self.recorded.get(&index)?.iter().find_map(|entry| match entry.record {
            Record::Until(until) => Some(until),
            _ => None,
        })
    }

    /// Has a call begun, by the journal?
    pub(crate) fn has_begun(&self, index: u32) -> bool {
        let is_begun = |entry: &Entry| entry.record.is_begin();
        self.recorded.get(&index).is_some_and(|entries| entries.iter().any(is_begun))
    }

    pub(crate) fn attempts(&self, index: u32) -> Option<&Attempts> {
        self.attempts.get(&self.calls.get(index as usize)?.path)
    }

    pub(crate) fn kind_and_path(&self, index: u32) -> Option<(CallKind, String)> {
        self.calls.get(index as usize).map(|call| (call.kind, call.path.clone()))
    }

    /// Remembers an entry that was committed in this turn.
    pub(crate) fn remember(&mut self, entry: &Entry) {
        self.recorded.entry(entry.index).or_default().push(entry.clone());
    }

    pub(crate) fn remember_attempts(&mut self, attempts: Attempts) {
        self.attempts.insert(attempts.path.clone(), attempts);
    }

    /// Delivers an entry to its call. The workflow must have made the call by now.
    pub(crate) fn deliver(&mut self, entry: &Entry) {
        self.now = self.now.max(entry.time);
        let index = entry.index;
        let expected = format!("{} `{}`", entry.kind, entry.path);
        let Some(call) = self.calls.get_mut(index as usize) else {
            let found = self.waits();
            self.differs(index, &expected, &found);
            return;
        };
        if entry.record.is_begin() || matches!(call.state, CallState::Closed) {
            return;
        }
        call.state = CallState::Delivered(entry.record.clone());
        self.wake(index);
    }

    /// What the workflow does, for an error.
    fn waits(&self) -> String {
        let open = |call: &&Call| !matches!(call.state, CallState::Closed);
        let open: Vec<_> =
            self.calls.iter().filter(open).map(|call| format!("{} `{}`", call.kind, call.path)).collect();
        match open.is_empty() {
            true => "the end of the workflow".to_owned(),
            false => format!("a workflow that waits for {}", open.join(", ")),
        }
    }

    /// The sleep that ends first, if it ends until `time`.
    pub(crate) fn next_sleep(&self, time: u64) -> Option<u32> {
        let sleeps = self.calls.iter().enumerate().filter_map(|(index, call)| match call.state {
            CallState::Sleeping { until } if until <= time => Some((until, index)),
            _ => None,
        });
        sleeps.min().and_then(|(_, index)| u32::try_from(index).ok())
    }

    /// Ends a sleep: the time of the workflow becomes its end.
    pub(crate) fn end_sleep(&mut self, index: u32) {
        let Some(call) = self.calls.get_mut(index as usize) else { return };
        if let CallState::Sleeping { until } = call.state {
            call.state = CallState::Delivered(Record::Until(until));
            self.now = self.now.max(until);
            self.wake(index);
        }
    }

    pub(crate) fn wake(&mut self, index: u32) {
        if let Some(waker) = self.calls.get_mut(index as usize).and_then(|call| call.waker.take()) {
            waker.wake();
        }
    }

    pub(crate) fn wake_all(&mut self) {
        self.calls.iter_mut().filter_map(|call| call.waker.take()).for_each(Waker::wake);
    }

    /// Ends the waits for a next attempt whose time has come.
    pub(crate) fn end_retries(&mut self, now: u64) -> bool {
        let mut ended = false;
        for call in &mut self.calls {
            if matches!(call.state, CallState::Retry { at } if at <= now) {
                call.state = CallState::Open;
                ended = true;
                if let Some(waker) = call.waker.take() {
                    waker.wake();
                }
            }
        }
        ended
    }

    /// The calls that wait for an event, without those whose result is a draft.
    pub(crate) fn event_waits(&self) -> Vec<(u32, String, Option<u64>)> {
        let waits = self.calls.iter().enumerate().filter_map(|(index, call)| match &call.state {
            CallState::Event { name, deadline } => Some((u32::try_from(index).ok()?, name.clone(), *deadline)),
            _ => None,
        });
        waits.filter(|(index, ..)| !self.drafts.iter().any(|draft| draft.index == *index)).collect()
    }

    /// The time at which the workflow goes on without an event.
    pub(crate) fn next_time(&self) -> Option<u64> {
        let time = |call: &Call| match call.state {
            CallState::Sleeping { until } => Some(until),
            CallState::Retry { at } => Some(at),
            CallState::Event { deadline, .. } => deadline,
            _ => None,
        };
        self.calls.iter().filter_map(time).min()
    }

    /// Stalls the run, unless it is stalled already.
    pub(crate) fn stop_for(&mut self, reason: &str) {
        self.stop.get_or_insert_with(|| Stop::Other(reason.to_owned()));
    }

    /// The difference between a workflow whose run has ended and its journal, after all entries are delivered.
    pub(crate) fn unended(&self) -> Difference {
        let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        Difference { index, expected: "the end of the workflow".to_owned(), found: self.waits() }
    }

    /// May the workflow be dropped without the loss of an effect?
    pub(crate) fn is_idle(&self) -> bool {
        self.stop.is_none() && self.drafts.iter().all(|draft| matches!(draft.work, Work::Note(_)))
    }

    fn cancel(&self) -> Option<&Event> {
        self.events.iter().map(|(_, event)| event).find(|event| event.name == CANCEL)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel().is_some()
    }

    pub(crate) fn cancel_reason(&self) -> Option<Stored> {
        self.cancel()?.body.clone()
    }

    /// The children that have begun and have no result, with the paths of their calls.
    pub(crate) fn open_children(&self) -> Vec<(u32, String)> {
        let calls = self.calls.iter().enumerate();
        let children = calls.filter(|(_, call)| call.kind == CallKind::Call);
        let numbered = children.filter_map(|(index, call)| Some((u32::try_from(index).ok()?, call.path.clone())));
        numbered.filter(|(index, _)| self.has_begun(*index) && !self.is_recorded(*index)).collect()
    }

    /// Gives the oldest event that no wait has to the first call that waits for one of its name, or ends a wait whose time is
    /// over. One at a time, and alone in its commit: the workflow may drop the other waits when it receives it.
    pub(crate) fn draft_event(&mut self, now: u64) -> bool {
        let mut draft = None;
        for (index, name, deadline) in self.event_waits() {
            let event = self.events.iter().find(|(_, event)| event.name == name && event.body.is_some());
            let work = match event {
                Some((sort, event)) => Work::Receive(sort.clone(), event.clone()),
                None if deadline.is_some_and(|deadline| deadline <= now) => Work::Record(Record::Timeout),
                None => continue,
            };
            draft = Some(Draft::new(index, now, work));
            break;
        }
        let is_drafted = draft.is_some();
        self.drafts.extend(draft);
        is_drafted
    }

    /// The calls of `apply` that have begun and have no result: their writes may still be made.
    pub(crate) fn open_applies(&self) -> Vec<(u32, Prevent)> {
        let is_open = |index: &u32| self.has_begun(*index) && !self.is_recorded(*index);
        let mut open: Vec<_> = self.prevent.iter().filter(|(index, _)| is_open(index)).collect();
        open.sort_unstable_by_key(|(index, _)| **index);
        open.into_iter().map(|(index, prevent)| (*index, Arc::clone(prevent))).collect()
    }

    /// Is there a call that could begin?
    pub(crate) fn has_open(&self) -> bool {
        self.calls.iter().any(|call| matches!(call.state, CallState::Open) && call.waker.is_some())
    }

    /// Does a call wait for a time or an event?
    pub(crate) fn is_waiting(&self) -> bool {
        let waits = |call: &Call| {
            matches!(call.state, CallState::Sleeping { .. } | CallState::Retry { .. } | CallState::Event { .. })
        };
        self.calls.iter().any(waits)
    }

    pub(crate) fn set_deadline(&mut self, index: u32, to: Option<u64>) {
        if let Some(Call { state: CallState::Event { deadline, .. }, .. }) = self.calls.get_mut(index as usize) {
            *deadline = to;
        }
    }

    /// A step goes on, after the commit of its beginning or of a failed attempt.
    pub(crate) fn open(&mut self, index: u32) {
        if let Some(call) = self.calls.get_mut(index as usize).filter(|call| !matches!(call.state, CallState::Closed)) {
            call.state = CallState::Open;
        }
        self.wake(index);
    }

    pub(crate) fn enter(&mut self, thread: Option<ThreadId>) {
        self.thread = thread;
    }

    pub(crate) fn set_in_body(&mut self, is_in_body: bool) {
        self.is_in_body = is_in_body;
    }

    /// Calls must be made by the workflow itself: not by another task, whose order is not recorded, and not inside of a
    /// step, which does not run again.
    fn check_thread(&mut self) {
        if self.thread != Some(std::thread::current().id()) {
            self.stop_for("a call of the workflow was made by another task; use `join` or `map` in place of `spawn`");
        }
        if self.is_in_body {
            self.stop_for("a call of the workflow was made inside of a step; make it before or after the step");
        }
    }
}
