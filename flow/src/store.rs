//! The resources of runs, and the operations of the commit protocol on them.
//!
//! `tests/flow/model` has the protocol as a model. Its rules: a timer row of a turn is written before the turn can need it, and
//! deleted only after another holds the run or the run needs none; each write to a run has the version of its head as a
//! condition; a message with an input or an event is acknowledged after that is stored.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::blob::Bucket;
use isobar_abstraction::clock::{Clock, to_millis};
use isobar_abstraction::driver::{Instance, ResourceKind};
use isobar_abstraction::key_value::{PutMode, Table, Transaction, Version};
use isobar_abstraction::pub_sub::{Outgoing, Topic};
use isobar_abstraction::{Cloud, Error, ErrorKind, Limits, Origin, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::message::Message;
use crate::row::{
    ChildEnd, ERROR, EVENTS, Entry, Event, Head, LIST, Lease, OUTPUT, Row, RunId, RunState, STALL, Stall, Stored,
    Timer, TimerKind, attempts_prefix, entries_prefix, input_sort,
};

/// The largest value that is stored in its row: larger ones are objects.
const INLINE_BYTES: usize = 32_000;

/// The largest value of an input, a result or an event.
const VALUE_BYTES: u64 = 100_000_000;

/// How long a worker has a run without a commit. A worker that lives renews it at half time.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) table: Table<Row>,
    pub(crate) topic: Topic<Message>,
    pub(crate) bucket: Bucket,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) instance: Instance,
    pub(crate) limits: Limits,
    /// Waits up to this are in process.
    pub(crate) in_process: Duration,
}

/// A head with the version that the next write needs.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) head: Head,
    pub(crate) version: Version,
}

/// When a worker can take the lease of a run.
pub(crate) enum Due {
    Now,
    /// Another worker has it, until then at least.
    Leased(u64),
    /// It waits, until then at least if it is a time.
    Waiting(Option<u64>),
}

impl Store {
    pub(crate) fn new(cloud: &Cloud, name: &str) -> Self {
        // The clock in memory does not move by itself, so a wait in process would never end.
        let in_process = if cloud.profile().provider == "memory" { Duration::ZERO } else { Duration::from_secs(20) };
        Self {
            table: cloud.table(name),
            topic: cloud.topic(name),
            bucket: cloud.bucket(name),
            clock: cloud.clock(),
            instance: cloud.instance(ResourceKind::Table, name),
            limits: *cloud.limits(),
            in_process,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        to_millis(self.clock.now())
    }

    pub(crate) async fn head(&self, run: &RunId) -> Result<Option<Held>> {
        let Some(entry) = self.table.get_entry(run.partition()).await? else { return Ok(None) };
        match entry.value {
            Row::Head(head) => Ok(Some(Held { head: *head, version: entry.version })),
            _ => Err(damaged(run, "its head")),
        }
    }

    /// Writes the timer that holds a run. It must be there before the write after which the run needs it.
    pub(crate) async fn put_timer(&self, timer: &Timer) -> Result<()> {
        self.table.put(timer.key(), &Row::Timer(timer.clone())).await.map(drop)
    }

    pub(crate) async fn delete_timer(&self, timer: &Timer) -> Result<()> {
        self.table.delete(timer.key()).await
    }

    /// [`write_and_delete`](Self::write_and_delete) without a delete.
    pub(crate) async fn write(
        &self,
        run: &RunId,
        held: Option<&Held>,
        head: Head,
        rows: impl IntoIterator<Item = (String, Row, PutMode)>,
    ) -> Result<Option<Held>> {
        self.write_and_delete(run, held, head, rows, Vec::new()).await
    }

    /// Writes a head, writes and deletes other rows of its run, if the head has not changed. `None` if it has, perhaps by
    /// this write: the caller reads it.
    pub(crate) async fn write_and_delete(
        &self,
        run: &RunId,
        held: Option<&Held>,
        head: Head,
        rows: impl IntoIterator<Item = (String, Row, PutMode)>,
        deleted: Vec<String>,
    ) -> Result<Option<Held>> {
        let mode = held.map_or(PutMode::Create, |held| PutMode::Update(held.version.clone()));
        let row = Row::Head(Box::new(head.clone()));
        let mut transaction: Transaction<Row> = self.table.transact(run.partition()).put_with("", &row, mode);
        for (sort, row, mode) in rows {
            transaction = transaction.put_with(sort, &row, mode);
        }
        for sort in deleted {
            transaction = transaction.delete(sort);
        }
        match transaction.commit().await {
            Ok(versions) => {
                let version = versions.into_iter().next().flatten();
                let version = version.ok_or_else(|| Error::internal("a transaction returned no version of its put"))?;
                Ok(Some(Held { head, version }))
            }
            // The head says whether the write was applied: the caller reads it.
            Err(error) if error.outcome_unknown() => Ok(None),
            // Each row is written once, so a row that exists was written with a head that this worker has not read.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a turn of a run that needs a person. `None` if its head has changed: the next turn finds the same reason.
    pub(crate) async fn stall(&self, run: &RunId, held: &Held, head: Head, reason: String) -> Result<Option<Held>> {
        tracing::error!(%run, reason, "a run is stalled");
        let now = self.now();
        let rows = [(STALL.to_owned(), Row::Stall(Stall { reason, time: now }), PutMode::Overwrite)];
        let head = Head { state: RunState::Stalled, lease: None, updated: now, ..head };
        self.write(run, Some(held), head, rows).await
    }

    /// Can a worker take the lease of a run now?
    pub(crate) fn due(&self, head: &Head) -> Due {
        let now = self.now();
        let is_of_ended = |lease: &Lease| self.instance.alone && *lease.instance != *self.instance.id;
        match (&head.lease, head.state) {
            (Some(lease), _) if lease.until > now && !is_of_ended(lease) => Due::Leased(lease.until),
            (None, _) if head.wake.is_some_and(|at| at > now) => Due::Waiting(head.wake),
            (None, RunState::Waiting) if head.wake.is_none() => Due::Waiting(None),
            _ => Due::Now,
        }
    }

    /// The head of the next turn of this worker, and the timer that must be written before it.
    pub(crate) fn lease(&self, run: &RunId, head: &Head) -> (Head, Timer) {
        let now = self.now();
        let until = now.saturating_add(millis(LEASE));
        let turn = head.turn + 1;
        let lease = Lease { token: random_text(), instance: self.instance.id.to_string(), until };
        let state = if head.state == RunState::Undoing { RunState::Undoing } else { RunState::Running };
        let time = head.time.max(now);
        let (lease, idle) = (Some(lease), head.idle + 1);
        let next = Head { state, turn, lease, time, idle, wake: None, waits: Vec::new(), updated: now, ..head.clone() };
        (next, Timer::new(run, turn, TimerKind::Lease, until))
    }

    /// The entries of the journal, in their order.
    pub(crate) async fn journal(&self, run: &RunId, head: &Head) -> Result<Vec<Entry>> {
        let rows = self.table.query(run.partition()).prefix(&entries_prefix(head.generation)).all().await?;
        let entry = |row| if let Row::Entry(entry) = row { Ok(entry) } else { Err(damaged(run, "an entry")) };
        rows.into_iter().map(|row| entry(row.value)).collect()
    }

    /// The failed attempts of steps.
    pub(crate) async fn attempts(&self, run: &RunId, head: &Head) -> Result<Vec<crate::row::Attempts>> {
        let rows = self.table.query(run.partition()).prefix(&attempts_prefix(head.generation)).all().await?;
        let attempts = |row| if let Row::Attempts(it) = row { Ok(it) } else { Err(damaged(run, "an attempt")) };
        rows.into_iter().map(|row| attempts(row.value)).collect()
    }

    /// The events, in the order of their arrival.
    pub(crate) async fn events(&self, run: &RunId) -> Result<Vec<(String, Event)>> {
        let rows = self.table.query(run.partition()).prefix(EVENTS).all().await?;
        let event = |row: isobar_abstraction::key_value::Entry<Row>| match row.value {
            Row::Event(event) => Ok((row.key.sort, event)),
            _ => Err(damaged(run, "an event")),
        };
        let mut events: Vec<_> = rows.into_iter().map(event).collect::<Result<_>>()?;
        events.sort_by_key(|(_, event)| event.number);
        Ok(events)
    }

    pub(crate) async fn input(&self, run: &RunId, head: &Head) -> Result<Box<RawValue>> {
        let value = self.value(run, &input_sort(head.generation)).await?;
        value.ok_or_else(|| damaged(run, "its input"))
    }

    /// A value of a run; `None` if it is absent.
    pub(crate) async fn value(&self, run: &RunId, sort: &str) -> Result<Option<Box<RawValue>>> {
        match self.table.get((run.partition(), sort)).await? {
            None => Ok(None),
            Some(Row::Value(stored)) => self.load(&stored).await.map(Some),
            Some(_) => Err(damaged(run, "a value")),
        }
    }

    /// Stores a value in its row if it is small, and as an object otherwise. The object is written before any row refers to
    /// it, so an object without a row is possible, and a row without its object is not.
    pub(crate) async fn save(&self, run: &RunId, json: Box<RawValue>) -> Result<Stored> {
        let size = json.get().len();
        if size <= INLINE_BYTES {
            return Ok(Stored::Json(json));
        }
        if size as u64 > VALUE_BYTES {
            return Err(Error::too_large("the value in JSON", size as u64, VALUE_BYTES));
        }
        let key = format!("{}{}", run.prefix(), random_text());
        self.bucket.put(&key, String::from(Box::<str>::from(json))).await?;
        Ok(Stored::Object(key))
    }

    pub(crate) async fn load(&self, stored: &Stored) -> Result<Box<RawValue>> {
        match stored {
            Stored::Json(json) => Ok(json.clone()),
            Stored::Object(key) => {
                let bytes = self.bucket.get(key).await?.bytes().await?;
                serde_json::from_slice(&bytes).map_err(|_| {
                    Error::internal(format!("the object `{key}` contains no JSON")).with_origin(Origin::Service)
                })
            }
        }
    }

    /// Publishes the end of a child to its parent. A copy is no second event.
    pub(crate) async fn notify_parent(&self, run: &RunId, head: &Head) -> Result<()> {
        let Some(parent) = head.parent.clone().filter(|_| head.state.is_final()) else { return Ok(()) };
        let end = match head.state {
            RunState::Done => {
                let output = self.value(run, OUTPUT).await?.ok_or_else(|| damaged(run, "its output"))?;
                // The parent may need it after this run is deleted.
                ChildEnd::Output(self.save(&parent.run, output).await?)
            }
            _ => {
                let failure = self.value(run, ERROR).await?.ok_or_else(|| damaged(run, "its error"))?;
                ChildEnd::Error(decode(&failure, "the error of a run")?)
            }
        };
        let body = self.save(&parent.run, encode(&end)?).await?;
        let event = Message::Event { run: parent.run, name: parent.event, id: "end".to_owned(), body };
        self.publish(event, Duration::ZERO).await
    }

    /// Deletes the rows of a generation of the journal that has ended.
    pub(crate) async fn delete_generation(&self, run: &RunId, generation: u32) -> Result<()> {
        self.delete_rows(run, &entries_prefix(generation)).await?;
        self.delete_rows(run, &attempts_prefix(generation)).await?;
        self.table.delete((run.partition(), input_sort(generation))).await
    }

    /// Deletes the rows of a run whose sort keys have a prefix, in transactions of 99.
    pub(crate) async fn delete_rows(&self, run: &RunId, prefix: &str) -> Result<()> {
        loop {
            let rows = self.table.query(run.partition()).prefix(prefix).limit(99).page().await?;
            let mut transaction = self.table.transact(run.partition());
            for row in &rows.items {
                transaction = transaction.delete(row.key.sort.as_str());
            }
            transaction.commit().await?;
            if rows.next.is_none() {
                return Ok(());
            }
        }
    }

    pub(crate) async fn publish(&self, message: Message, delay: Duration) -> Result<()> {
        let delay = delay.min(self.limits.message_delay);
        self.topic.publish(Outgoing::new(message).with_delay(delay)).await.map(drop)
    }

    pub(crate) async fn list_run(&self, run: &RunId, created: u64) -> Result<()> {
        self.table.put((LIST, list_sort(run, created)), &Row::Listed).await.map(drop)
    }
}

pub(crate) fn list_sort(run: &RunId, created: u64) -> String {
    format!("{}/{created:013}/{}", run.workflow(), run.id())
}

pub(crate) fn damaged(run: &RunId, what: &str) -> Error {
    let message = format!("the run {run} is damaged: {what} is missing or is another row");
    Error::internal(message).with_origin(Origin::Service)
}

/// JSON of a value of an app.
pub(crate) fn encode(value: &impl Serialize) -> Result<Box<RawValue>> {
    let text = serde_json::to_string(value).map_err(|error| {
        Error::invalid_input(format!("the value cannot be stored as JSON: {error}")).with_origin(Origin::App)
    })?;
    RawValue::from_string(text).map_err(|error| Error::invalid_input(error.to_string()))
}

/// A value of an app. `what` names it for the error, which does not contain it.
pub(crate) fn decode<T: DeserializeOwned>(json: &RawValue, what: &str) -> Result<T> {
    serde_json::from_str(json.get()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = format!(
            "{what} is not a `{}`: its JSON does not fit in line {line}, column {column}",
            std::any::type_name::<T>()
        );
        Error::invalid_input(message).with_origin(Origin::Data)
    })
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// 16 random hexadecimal digits.
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    format!("{:016x}", u64::from_be_bytes(bytes))
}
