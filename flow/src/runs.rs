//! [`Runs`]: starts runs, sends events to them, and reads their state.

use std::time::{Duration, SystemTime};

use isobar_abstraction::clock::{from_millis, to_millis, to_rfc3339};
use isobar_abstraction::{Cloud, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use crate::message::{CANCEL, Message};
use crate::row::{
    Attempts, CallKind, ERROR, Entry, Failure, Head, LIST, NO_CALL, OUTPUT, Record, Row, RunId, RunState, STALL, Timer,
    TimerKind, hex,
};
use crate::store::{Store, decode, encode, list_sort};

/// The runs of the workflows of an app. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Runs {
    pub(crate) store: Store,
    pub(crate) name: String,
}

/// The name of the table, the topic, the bucket and the schedule of [`Runs::new`].
const NAME: &str = "runs";

/// The longest name of an event, in bytes.
const EVENT_BYTES: usize = 64;

/// The longest id of an event, in bytes.
const EVENT_ID_BYTES: usize = 256;

/// The result of [`Runs::start`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Started {
    /// The start is published, and the run begins soon.
    Accepted,
    /// The run exists already, with the same input.
    Existing,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// The run.
    #[serde(serialize_with = "as_text")]
    pub id: RunId,
    /// Its state.
    pub state: RunState,
    /// The version of its workflow.
    pub version: u32,
    /// When it began.
    #[serde(serialize_with = "as_rfc3339")]
    pub created_at: SystemTime,
    /// When its state was last stored.
    #[serde(serialize_with = "as_rfc3339")]
    pub updated_at: SystemTime,
    /// The entries of its journal.
    pub entries: u32,
    /// The events that it waits for.
    pub waits_for: Vec<String>,
    /// When it goes on without an event; `None` if it does not.
    #[serde(serialize_with = "as_optional_rfc3339")]
    pub wakes_at: Option<SystemTime>,
    /// Why it failed or is stalled.
    pub reason: Option<String>,
}

/// A call of a workflow that the journal has recorded, or whose attempts have failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordedCall {
    /// Its number among the calls of the run; `None` for the end of the run, and for a call without a result.
    pub index: Option<u32>,
    /// Its kind.
    pub kind: CallKind,
    /// Its name and number, after the names of the calls around it.
    pub path: String,
    /// What happened: `begun`, `value`, `error`, `timeout`, `cancelled`, or `failed` for an attempt that is made again.
    pub outcome: &'static str,
    /// The message of an error.
    pub message: Option<String>,
    /// When its work began.
    #[serde(serialize_with = "as_rfc3339")]
    pub began_at: SystemTime,
    /// When its result was recorded, or its next attempt begins.
    #[serde(serialize_with = "as_rfc3339")]
    pub recorded_at: SystemTime,
    /// The attempts.
    pub attempts: u32,
}

impl RecordedCall {
    fn new(entry: &Entry) -> Self {
        let (outcome, message) = match &entry.record {
            Record::Value(_) => ("value", None),
            Record::Error(failure) => ("error", Some(failure.message.clone())),
            Record::Timeout => ("timeout", None),
            Record::Cancelled(reason) => ("cancelled", Some(reason.clone())),
            Record::Begun | Record::Applying { .. } | Record::Until(_) => ("begun", None),
        };
        Self {
            index: (entry.index != NO_CALL).then_some(entry.index),
            kind: entry.kind,
            path: entry.path.clone(),
            outcome,
            message,
            began_at: from_millis(entry.began),
            recorded_at: from_millis(entry.time),
            attempts: entry.attempts,
        }
    }

    fn failed(attempts: &Attempts) -> Self {
        let next = from_millis(attempts.next);
        Self {
            index: None,
            kind: CallKind::Step,
            path: attempts.path.clone(),
            outcome: "failed",
            message: Some(attempts.failure.message.clone()),
            began_at: next,
            recorded_at: next,
            attempts: attempts.count,
        }
    }
}

impl Runs {
    /// The runs in the table, the topic and the bucket `runs`. Call it once in an app, and clone it.
    pub fn new(cloud: &Cloud) -> Self {
        Self::named(cloud, NAME)
    }

    /// Runs in a table, a topic and a bucket with another name, so that an app can have several groups of workflows.
    pub fn named(cloud: &Cloud, name: &str) -> Self {
        Self { store: Store::new(cloud, name), name: name.to_owned() }
    }

    /// Starts a run. It begins after this has returned, when the message of the start is delivered.
    ///
    /// Of two starts with one id one begins the run. With the same input the other is [`Started::Existing`]; with another
    /// input it is an error, or a dead letter if both are sent at the same time.
    ///
    /// Errors: `AlreadyExists` for a run with another input; `InvalidInput` for an id outside of the limits of [`RunId`] and
    /// for an input that JSON cannot represent; `TooLarge` for an input over 100 MB; those of the services.
    pub async fn start(&self, workflow: &str, id: &str, input: &(impl Serialize + ?Sized)) -> Result<Started> {
        let run = RunId::new(workflow, id)?;
        let json = encode(&input)?;
        let digest = hex(json.get());
        if let Some(held) = self.store.head(&run).await? {
            if held.head.input == digest {
                return Ok(Started::Existing);
            }
            let message = format!("the run {run} exists with another input; start it with another id");
            return Err(Error::already_exists(message));
        }
        let input = self.store.save(&run, json).await?;
        self.store.publish(Message::Start { run, input, digest, parent: None }, Duration::ZERO).await?;
        Ok(Started::Accepted)
    }

    /// Sends an event to a run. It is stored once for each `event_id`, whether or not the run waits for it.
    ///
    /// `Ok` means that the message is published. An event for a run that has not begun waits for 10 minutes and becomes a
    /// dead letter then; one for a run that has ended is ignored.
    ///
    /// Errors: `InvalidInput` for a name that is not 1 to 64 bytes or contains a control character, `/`, or a dot at its
    /// beginning, and for an id that is not 1 to 256 bytes; those of the services.
    pub async fn signal(
        &self,
        run: &RunId,
        event: &str,
        event_id: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        check_event(event)?;
        if event_id.is_empty() || event_id.len() > EVENT_ID_BYTES || event_id.chars().any(char::is_control) {
            let message = format!("the id of an event has 1 to {EVENT_ID_BYTES} bytes without control characters");
            return Err(Error::invalid_input(message));
        }
        let body = self.store.save(run, encode(&body)?).await?;
        let (run, name, id) = (run.clone(), event.to_owned(), event_id.to_owned());
        self.store.publish(Message::Event { run, name, id, body }, Duration::ZERO).await
    }

    /// Cancels a run: the steps that are running end, and then its compensations run. A run that has ended does not change.
    ///
    /// `Ok` means that the message is published, as for [`signal`](Self::signal).
    pub async fn cancel(&self, run: &RunId, reason: &str) -> Result<()> {
        let body = self.store.save(run, encode(&reason)?).await?;
        let cancel = Message::Event { run: run.clone(), name: CANCEL.to_owned(), id: "1".to_owned(), body };
        self.store.publish(cancel, Duration::ZERO).await
    }

    /// Lets a run that is stalled go on, after the cause was repaired. Its workflow is replayed from the journal.
    ///
    /// Errors: `NotFound` for a run that does not exist; `Conflict` for one that is not stalled.
    pub async fn resume(&self, run: &RunId) -> Result<()> {
        let held = self.store.head(run).await?.ok_or_else(|| Error::not_found(format!("there is no run {run}")))?;
        if held.head.state != RunState::Stalled {
            return Err(Error::conflict(format!("the run {run} is not stalled")));
        }
        // The timer holds the run, if the hint is lost.
        let timer = Timer::new(run, held.head.turn, TimerKind::Wake, self.store.now());
        self.store.put_timer(&timer).await?;
        let head =
            Head { state: RunState::Running, idle: 0, wake: None, updated: self.store.now(), ..held.head.clone() };
        match self.store.write(run, Some(&held), head, []).await? {
            None => Err(Error::conflict(format!("the run {run} has changed; look at it again"))),
            Some(held) => {
                let hint = Message::Hint { run: run.clone(), turn: held.head.turn, timer: Some(timer) };
                self.store.publish(hint, Duration::ZERO).await
            }
        }
    }

    /// The calls of a run that are recorded, in the order in which they were. A run that has no journal has none.
    ///
    /// Values are not in it: they may be secrets, or large.
    pub async fn history(&self, run: &RunId) -> Result<Vec<RecordedCall>> {
        let Some(held) = self.store.head(run).await? else { return Ok(Vec::new()) };
        let entries = self.store.journal(run, &held.head).await?;
        let mut calls: Vec<_> = entries.iter().map(RecordedCall::new).collect();
        let failed = self.store.attempts(run, &held.head).await?;
        let is_open =
            |attempts: &Attempts| !entries.iter().any(|entry| entry.path == attempts.path && !entry.record.is_begin());
        calls.extend(failed.iter().filter(|attempts| is_open(attempts)).map(RecordedCall::failed));
        Ok(calls)
    }

    /// A page of the runs of a workflow, the latest first: at most `limit` of them, after the run `after`.
    ///
    /// The list is not a snapshot: runs that begin in the meantime may be missing.
    pub async fn list(&self, workflow: &str, limit: usize, after: Option<&RunStatus>) -> Result<Vec<RunStatus>> {
        let prefix = format!("{workflow}/");
        let end = match after {
            Some(status) => list_sort(&status.id, to_millis(status.created_at)),
            // After the last number.
            None => format!("{workflow}/:"),
        };
        let rows = self.store.table.query(LIST).range(prefix.as_str()..end.as_str()).descending().limit(limit.max(1));
        let mut listed = Vec::new();
        for row in rows.page().await?.items {
            let id = row.key.sort.strip_prefix(&prefix).and_then(|rest| rest.split_once('/'));
            let Some((_, id)) = id else { continue };
            listed.extend(self.get(&RunId::new(workflow, id)?).await?);
        }
        Ok(listed)
    }

    /// The state of a run; `None` if it has not begun, or was deleted after its retention.
    pub async fn get(&self, run: &RunId) -> Result<Option<RunStatus>> {
        let Some(held) = self.store.head(run).await? else { return Ok(None) };
        let head = held.head;
        let reason = match head.state {
            RunState::Failed | RunState::Cancelled => {
                let failure = self.store.value(run, ERROR).await?;
                let failure = failure.map(|json| decode::<Failure>(&json, "the error of a run")).transpose()?;
                failure.map(|failure| failure.message)
            }
            RunState::Stalled => match self.store.table.get((run.partition(), STALL)).await? {
                Some(Row::Stall(stall)) => Some(stall.reason),
                _ => None,
            },
            _ => None,
        };
        Ok(Some(RunStatus {
            id: run.clone(),
            state: head.state,
            version: head.version,
            created_at: from_millis(head.created),
            updated_at: from_millis(head.updated),
            entries: head.entries,
            waits_for: head.waits,
            wakes_at: head.wake.map(from_millis),
            reason,
        }))
    }

    /// The output of a run that is done; `None` if it is not.
    ///
    /// Errors: that of the workflow, if it failed; `Conflict` if it was cancelled; `InvalidInput` if the output is not a `T`.
    pub async fn output<T: DeserializeOwned>(&self, run: &RunId) -> Result<Option<T>> {
        match self.store.head(run).await?.map(|held| held.head.state) {
            Some(RunState::Done) => {
                let json = self.store.value(run, OUTPUT).await?;
                json.map(|json| decode(&json, "the output of a run")).transpose()
            }
            Some(RunState::Failed | RunState::Cancelled) => {
                let json = self.store.value(run, ERROR).await?;
                let failure = json.map(|json| decode::<Failure>(&json, "the error of a run")).transpose()?;
                failure.map_or(Ok(None), |failure| Err(failure.error()))
            }
            _ => Ok(None),
        }
    }
}

fn as_text<S: Serializer>(id: &RunId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_rfc3339(*time))
}

fn as_optional_rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(to_rfc3339).serialize(serializer)
}

fn check_event(event: &str) -> Result<()> {
    let is_name = !event.starts_with('.') && !event.contains('/') && !event.chars().any(char::is_control);
    if is_name && (1..=EVENT_BYTES).contains(&event.len()) {
        return Ok(());
    }
    Err(Error::invalid_input(format!(
        "`{}` is not the name of an event: use 1 to {EVENT_BYTES} bytes without `/`, control characters, and a dot at the \
         beginning",
        event.escape_debug()
    )))
}
