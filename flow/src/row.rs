//! The items of the table of runs: one type, so that a transaction can write several kinds of them.
//!
//! | partition | sort key | row |
//! |---|---|---|
//! | `{workflow}/{id}` | empty | the head of the run |
//! | the same | `j/{number}` | an entry of the journal |
//! | the same | `r/{path}` | the failed attempts of a step |
//! | the same | `e/{event}/{id}` | an event |
//! | the same | `v/{name}` | the input, the output or the error |
//! | `.due` | `{milliseconds}/{turn}/{kind}/{workflow}/{id}` | a timer |
//! | `.list` | `{workflow}/{milliseconds}/{id}` | a run in the list |
//!
//! The names of workflows begin with a letter, so the partitions of runs never have the names of the others.

use std::fmt;
use std::str::FromStr;

use isobar_abstraction::driver::check_name;
use isobar_abstraction::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The name of a run: its workflow, and an id that is unique among the runs of the workflow.
///
/// An id has 1 to 128 bytes without control characters. Use one that the caller can repeat, such as the number of an order:
/// a second start with the same id is the same run.
///
/// ```
/// use isobar_flow::RunId;
/// let id = RunId::new("order", "2026-0042")?;
/// assert_eq!(id.to_string(), "order/2026-0042");
/// assert_eq!("order/2026-0042".parse::<RunId>()?, id);
/// assert!(RunId::new("order", "").is_err());
/// # Ok::<(), isobar_abstraction::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    workflow: String,
    id: String,
}

const ID_BYTES: usize = 128;

impl RunId {
    /// A run of a workflow. Errors: `InvalidInput` for an id outside of the limits; `Config` for a workflow that is not a
    /// logical name.
    pub fn new(workflow: impl Into<String>, id: impl Into<String>) -> Result<Self> {
        let (workflow, id) = (workflow.into(), id.into());
        check_name(&workflow)?;
        if id.is_empty() || id.len() > ID_BYTES || id.chars().any(char::is_control) {
            let message = format!("the id of a run has 1 to {ID_BYTES} bytes without control characters");
            return Err(Error::invalid_input(message));
        }
        Ok(Self { workflow, id })
    }

    /// The name of the workflow.
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// The id among the runs of the workflow.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn partition(&self) -> String {
        self.to_string()
    }

    /// The prefix of the objects of the run. An id can contain a slash, so it is hashed.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/{}/", self.workflow, hex(&self.id))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workflow, self.id)
    }
}

/// 32 hexadecimal digits of the SHA-256 of a text.
pub(crate) fn hex(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Parses `workflow/id`.
impl FromStr for RunId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (workflow, id) = text
            .split_once('/')
            .ok_or_else(|| Error::invalid_input(format!("`{}` is not of the form workflow/id", text.escape_debug())))?;
        Self::new(workflow, id)
    }
}

/// A row of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Row {
    Head(Box<Head>),
    Entry(Entry),
    Attempts(Attempts),
    Event(Event),
    Value(Stored),
    Stall(Stall),
    Timer(Timer),
    Listed,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunState {
    /// A worker runs it, or will soon.
    Running,
    /// It waits for an event, a time or a child.
    Waiting,
    /// It failed or was cancelled, and its compensations run.
    Undoing,
    /// Its workflow returned `Ok`.
    Done,
    /// Its workflow returned an `Err`, and its compensations have run.
    Failed,
    /// It was cancelled, and its compensations have run.
    Cancelled,
    /// It cannot go on without a person: its program has changed, or a compensation failed.
    Stalled,
}

impl RunState {
    /// Does the run change no more?
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// The head of a run. Every write to the partition of the run is in a transaction with a change of its version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) state: RunState,
    pub(crate) version: u32,
    /// The number of the turn: a worker that takes the lease adds one.
    pub(crate) turn: u64,
    pub(crate) lease: Option<Lease>,
    /// The clock of the run: the latest time that the journal, or a lease, has recorded.
    pub(crate) time: u64,
    pub(crate) entries: u32,
    pub(crate) events: u32,
    /// The events whose rows were deleted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) forgotten: u32,
    /// The generation of the journal: `continue_with` adds one.
    pub(crate) generation: u32,
    /// When the run goes on without an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wake: Option<u64>,
    /// The events that the run waits for; `*` for more than fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waits: Vec<String>,
    /// The turns that ended without a commit, in sequence.
    pub(crate) idle: u32,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    /// A random text that makes the idempotency keys of this run differ from those of an earlier run with its id.
    pub(crate) incarnation: String,
    pub(crate) input: String,
    /// When the rows of a final run may be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) purge: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Parent>,
}

/// The worker that may write the run, until the end of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) token: String,
    /// The process of the worker.
    pub(crate) instance: String,
    pub(crate) until: u64,
}

/// The run that waits for the end of this one, and the event that it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    pub(crate) run: RunId,
    pub(crate) event: String,
}

/// The kinds of calls that the journal records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CallKind {
    /// [`Flow::step`](crate::Flow::step).
    Step,
    /// [`Flow::sleep`](crate::Flow::sleep).
    Sleep,
    /// [`Flow::wait_for`](crate::Flow::wait_for).
    Wait,
    /// [`Flow::call`](crate::Flow::call).
    Call,
    /// [`Flow::apply`](crate::Flow::apply).
    Apply,
    /// The end of the workflow by an error or by [`Runs::cancel`](crate::Runs::cancel): the compensations follow.
    End,
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "step",
            Self::Sleep => "sleep",
            Self::Wait => "wait_for",
            Self::Call => "call",
            Self::Apply => "apply",
            Self::End => "end",
        })
    }
}

/// An entry of the journal. It is written once and never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The number of the call in its run, in the order of the calls.
    pub(crate) index: u32,
    pub(crate) kind: CallKind,
    /// The name with its number, after those of the calls around it.
    pub(crate) path: String,
    /// The time at which it was stored, by the clock of the run.
    pub(crate) time: u64,
    /// When its work began.
    pub(crate) began: u64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) attempts: u32,
    pub(crate) record: Record,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde")]
fn is_zero(moves: &u32) -> bool {
    *moves == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde")]
fn is_one(attempts: &u32) -> bool {
    *attempts == 1
}

/// What a call returned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Record {
    /// The value of a step.
    Value(Stored),
    Error(Failure),
    /// A step that must run at most once, or a call, has begun.
    Begun,
    /// The writes of an `apply` have begun: to this table and partition.
    Applying {
        table: String,
        partition: String,
    },
    /// A sleep until a time.
    Until(u64),
    Timeout,
    /// The run was cancelled, for this reason.
    Cancelled(String),
}

impl Record {
    /// Is it the beginning of a call, and not its result?
    pub(crate) fn is_begin(&self) -> bool {
        matches!(self, Self::Begun | Self::Applying { .. } | Self::Until(_))
    }
}

/// The number of an entry that belongs to no call.
pub(crate) const NO_CALL: u32 = u32::MAX;

/// The result of a child, as the body of an event of its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChildEnd {
    Output(Stored),
    Error(Failure),
}

/// A value in JSON, in its row or in the bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stored {
    Json(Box<RawValue>),
    /// The key of an object.
    Object(String),
}

/// An error that the journal can contain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) message: String,
}

/// The longest message of an error that is stored.
const MESSAGE_BYTES: usize = 2_000;

const KINDS: [ErrorKind; 13] = [
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::Conflict,
    ErrorKind::InvalidInput,
    ErrorKind::TooLarge,
    ErrorKind::Unauthenticated,
    ErrorKind::PermissionDenied,
    ErrorKind::Throttled,
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::Unsupported,
    ErrorKind::Config,
    ErrorKind::Internal,
];

impl Failure {
    pub(crate) fn of(error: &Error) -> Self {
        let mut message = error.message().to_owned();
        if message.len() > MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
            message.push('…');
        }
        Self { kind: error.kind().name().to_owned(), message }
    }

    pub(crate) fn error(&self) -> Error {
        let kind = KINDS.into_iter().find(|kind| kind.name() == self.kind).unwrap_or(ErrorKind::Internal);
        Error::new(kind, self.message.clone())
    }
}

/// The failed attempts of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempts {
    pub(crate) path: String,
    pub(crate) count: u32,
    /// When the next one begins.
    pub(crate) next: u64,
    pub(crate) failure: Failure,
}

/// An event of a run, handled or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) name: String,
    /// Its number among the events of the run, in the order of their arrival.
    pub(crate) number: u32,
    pub(crate) time: u64,
    /// `None` after the workflow has received it: then the journal contains it. The row remains, so that a copy of the
    /// message is no second event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Stored>,
}

/// Why a run is stalled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stall {
    pub(crate) reason: String,
    pub(crate) time: u64,
}

/// A time at which the sweep looks at a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub(crate) run: RunId,
    pub(crate) turn: u64,
    pub(crate) kind: TimerKind,
    pub(crate) at: u64,
    /// How often it was moved because its run had no head.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) moves: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TimerKind {
    Lease,
    Wake,
    Purge,
}

pub(crate) const DUE: &str = ".due";
pub(crate) const LIST: &str = ".list";

impl Timer {
    pub(crate) fn new(run: &RunId, turn: u64, kind: TimerKind, at: u64) -> Self {
        Self { run: run.clone(), turn, kind, at, moves: 0 }
    }

    pub(crate) fn key(&self) -> (&'static str, String) {
        let kind = match self.kind {
            TimerKind::Lease => 'l',
            TimerKind::Wake => 'w',
            TimerKind::Purge => 'p',
        };
        (DUE, format!("{:013}/{}/{kind}/{}", self.at, self.turn, self.run))
    }
}

pub(crate) fn entry_sort(generation: u32, number: u32) -> String {
    format!("j/{generation:06}/{number:08}")
}

/// The prefix of the sort keys of the entries of a generation.
pub(crate) fn entries_prefix(generation: u32) -> String {
    format!("j/{generation:06}/")
}

pub(crate) fn attempts_prefix(generation: u32) -> String {
    format!("r/{generation:06}/")
}

pub(crate) fn attempts_sort(generation: u32, index: u32) -> String {
    format!("r/{generation:06}/{index:08}")
}

pub(crate) const EVENTS: &str = "e/";

pub(crate) fn event_sort(event: &str, id: &str) -> String {
    format!("{EVENTS}{event}/{id}")
}

/// The sort keys of the values of a run.
pub(crate) const OUTPUT: &str = "v/output";
pub(crate) const ERROR: &str = "v/error";
pub(crate) const STALL: &str = "v/stall";

pub(crate) fn input_sort(generation: u32) -> String {
    format!("v/input/{generation:06}")
}
