//! One queue inside a write transaction, and the states of a message.
//!
//! A message has one immutable row in `messages`, which is its body, and is in one of these states,
//! each of which is a small row elsewhere:
//!
//! ```text
//! blocked --(head of its ordering key is gone)--> due --lease--> leased --Done--> gone
//!                                                  ^-----Again------'  '---Dead--> dead
//! ```
//!
//! Only the head of an ordering key is in `due`, so that a lease never looks past blocked messages.
//! The row of the source contains the counts, so that no read has to count.

use std::borrow::Cow;

use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::{EventQueue, Result};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::record::{Record, damaged};
use super::{from_key, key, source_key};
use crate::chaos::Chaos;
use crate::store::failed;

/// Queues by [`key`].
pub(super) const SOURCES: TableDefinition<'_, &str, Stored> = TableDefinition::new("queue.sources");

/// Number, subscribed, waiting, leased, dead.
type Stored = (u32, bool, u64, u64, u64);

/// The last number of a message.
const SEQUENCE: TableDefinition<'_, (), u64> = TableDefinition::new("queue.sequence");

/// Source and sequence: the record.
pub(super) const MESSAGES: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("queue.messages");

/// Source, due in milliseconds, and sequence: deliveries so far.
pub(super) const DUE: TableDefinition<'_, (u32, u64, u64), u32> = TableDefinition::new("queue.due");

/// Source and sequence: when it was due, and the delivery that it is on.
const LEASED: TableDefinition<'_, (u32, u64), (u64, u32)> = TableDefinition::new("queue.leased");

/// Source, ordering key and sequence, of all that wait or are leased: when it was enqueued.
pub(super) const ORDERED: TableDefinition<'_, (u32, &str, u64), u64> = TableDefinition::new("queue.ordered");

/// Source and message id: the details and the record.
pub(super) const DEAD: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("queue.dead");

/// The latest time, in milliseconds, of which times in the other tables were made.
const CLOCK: TableDefinition<'_, (), u64> = TableDefinition::new("queue.clock");

/// A clock that goes back by less is synchronized, not set.
pub(super) const BACKWARDS_MS: u64 = 60_000;

/// What is known of a source.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row {
    pub(super) number: u32,
    pub(super) subscribed: bool,
    /// Messages to deliver: now, later, or after others of their ordering key.
    pub(crate) waiting: u64,
    /// Messages that are being handled.
    pub(crate) leased: u64,
    /// Dead letters.
    pub(crate) dead: u64,
}

impl From<Stored> for Row {
    fn from((number, subscribed, waiting, leased, dead): Stored) -> Self {
        Self { number, subscribed, waiting, leased, dead }
    }
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        (row.number, row.subscribed, row.waiting, row.leased, row.dead)
    }
}

/// A message that is leased.
pub(super) struct LeasedRecord {
    pub(super) sequence: u64,
    pub(super) attempt: u32,
    pub(super) record: Record,
}

/// The queue of one source, in a write transaction.
pub(super) struct Lane<'t> {
    row: Row,
    messages: Table<'t, (u32, u64), &'static [u8]>,
    due: Table<'t, (u32, u64, u64), u32>,
    leased: Table<'t, (u32, u64), (u64, u32)>,
    ordered: Table<'t, (u32, &'static str, u64), u64>,
    dead: Table<'t, (u32, u64), &'static [u8]>,
}

impl<'t> Lane<'t> {
    fn open(transaction: &'t WriteTransaction, row: Row) -> Result<Self> {
        Ok(Self {
            row,
            messages: transaction.open_table(MESSAGES).map_err(failed)?,
            due: transaction.open_table(DUE).map_err(failed)?,
            leased: transaction.open_table(LEASED).map_err(failed)?,
            ordered: transaction.open_table(ORDERED).map_err(failed)?,
            dead: transaction.open_table(DEAD).map_err(failed)?,
        })
    }

    /// Runs `change` on the lane of this queue, or not at all where the queue is unknown.
    pub(super) fn with<T>(
        transaction: &'t WriteTransaction,
        queue: &EventQueue,
        change: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut sources = transaction.open_table(SOURCES).map_err(failed)?;
        let key = key(queue);
        let row = sources.get(key.as_str()).map_err(failed)?.map(|row| Row::from(row.value()));
        let Some(row) = row else { return Ok(None) };
        let mut lane = Self::open(transaction, row)?;
        let answer = change(&mut lane)?;
        sources.insert(key.as_str(), Stored::from(lane.row)).map_err(failed)?;
        Ok(Some(answer))
    }

    /// Puts a new message at the end.
    pub(super) fn append(&mut self, sequence: u64, due_ms: u64, key: Option<&str>, record: &[u8]) -> Result<()> {
        self.append_again(sequence, due_ms, key, record, 0)
    }

    /// Puts a message at the end that was delivered elsewhere. Behind others of its ordering key it has no attempts.
    pub(super) fn append_again(
        &mut self,
        sequence: u64,
        due_ms: u64,
        key: Option<&str>,
        record: &[u8],
        attempts: u32,
    ) -> Result<()> {
        let source = self.row.number;
        self.messages.insert((source, sequence), record).map_err(failed)?;
        let mut head = true;
        if let Some(key) = key {
            head = self.head(key)?.is_none();
            self.ordered.insert((source, key, sequence), due_ms).map_err(failed)?;
        }
        if head {
            self.due.insert((source, due_ms, sequence), attempts).map_err(failed)?;
        }
        self.row.waiting += 1;
        Ok(())
    }

    /// Sequence and time of the first message of this ordering key.
    fn head(&self, key: &str) -> Result<Option<(u64, u64)>> {
        let source = self.row.number;
        let mut all = self.ordered.range((source, key, 0)..=(source, key, u64::MAX)).map_err(failed)?;
        let head = all.next().transpose().map_err(failed)?;
        Ok(head.map(|(place, due_ms)| (place.value().2, due_ms.value())))
    }

    /// Leases up to `limit` messages that are due, and counts the delivery.
    pub(super) fn lease(&mut self, now_ms: u64, limit: usize) -> Result<Vec<LeasedRecord>> {
        let source = self.row.number;
        let due = self.due.range((source, 0, 0)..=(source, now_ms, u64::MAX)).map_err(failed)?.take(limit);
        let due = due.map(|row| row.map(|(place, attempts)| (place.value(), attempts.value())));
        let due: Vec<_> = due.collect::<Result<_, _>>().map_err(failed)?;
        due.into_iter().map(|(place, attempts)| self.take(place, attempts)).collect()
    }

    fn take(&mut self, place: (u32, u64, u64), attempts: u32) -> Result<LeasedRecord> {
        let ((source, due_ms, sequence), attempt) = (place, attempts.saturating_add(1));
        let record = match self.messages.get((source, sequence)).map_err(failed)? {
            Some(record) => Record::decode(record.value())?,
            None => return Err(damaged("its record is missing")),
        };
        self.due.remove(place).map_err(failed)?;
        self.leased.insert((source, sequence), (due_ms, attempt)).map_err(failed)?;
        self.row.waiting = self.row.waiting.saturating_sub(1);
        self.row.leased += 1;
        Ok(LeasedRecord { sequence, attempt, record })
    }

    /// Takes back the lease of this delivery. Returns when the message was due, or nothing where
    /// there is no such lease.
    pub(super) fn end_lease(&mut self, sequence: u64, attempt: u32) -> Result<Option<u64>> {
        let place = (self.row.number, sequence);
        let lease = self.leased.get(place).map_err(failed)?.map(|lease| lease.value());
        let Some((due_ms, on)) = lease else { return Ok(None) };
        if on != attempt {
            return Ok(None);
        }
        self.leased.remove(place).map_err(failed)?;
        self.row.leased = self.row.leased.saturating_sub(1);
        Ok(Some(due_ms))
    }

    /// Makes a message wait whose lease ended.
    pub(super) fn put_back(&mut self, sequence: u64, due_ms: u64, attempts: u32) -> Result<()> {
        self.due.insert((self.row.number, due_ms, sequence), attempts).map_err(failed)?;
        self.row.waiting += 1;
        Ok(())
    }

    /// Forgets a message whose lease ended, and lets the next of its ordering key go.
    pub(super) fn forget(&mut self, sequence: u64, key: Option<&str>) -> Result<()> {
        let source = self.row.number;
        self.messages.remove((source, sequence)).map_err(failed)?;
        let Some(key) = key else { return Ok(()) };
        self.ordered.remove((source, key, sequence)).map_err(failed)?;
        if let Some((next, due_ms)) = self.head(key)? {
            self.due.insert((source, due_ms, next), 0).map_err(failed)?;
        }
        Ok(())
    }

    /// The stored record of a message.
    pub(super) fn record(&self, sequence: u64) -> Result<Vec<u8>> {
        let record = self.messages.get((self.row.number, sequence)).map_err(failed)?;
        record.map(|record| record.value().to_vec()).ok_or_else(|| damaged("its record is missing"))
    }

    /// Stores a dead letter.
    pub(super) fn insert_dead_letter(&mut self, id: u64, dead_letter: &[u8]) -> Result<()> {
        self.dead.insert((self.row.number, id), dead_letter).map_err(failed)?;
        self.row.dead += 1;
        Ok(())
    }

    /// Removes a dead letter and returns it.
    pub(super) fn take_dead_letter(&mut self, id: u64) -> Result<Option<Vec<u8>>> {
        let removed = self.dead.remove((self.row.number, id)).map_err(failed)?;
        let dead_letter = removed.map(|row| row.value().to_vec());
        self.row.dead = self.row.dead.saturating_sub(u64::from(dead_letter.is_some()));
        Ok(dead_letter)
    }

    /// Makes all leased messages wait, due immediately.
    pub(super) fn end_all_leases(&mut self, now_ms: u64) -> Result<()> {
        let source = self.row.number;
        let all = self.leased.range((source, 0)..=(source, u64::MAX)).map_err(failed)?;
        let all = all.map(|row| row.map(|(place, lease)| (place.value().1, lease.value())));
        let all: Vec<_> = all.collect::<Result<_, _>>().map_err(failed)?;
        for (sequence, (due_ms, attempt)) in all {
            self.end_lease(sequence, attempt)?;
            self.put_back(sequence, due_ms.min(now_ms), attempt)?;
        }
        Ok(())
    }
}

/// Stores the time, precisely enough to detect that the clock was set back.
pub(super) fn note_time(transaction: &WriteTransaction, now_ms: u64) -> Result<()> {
    let mut clock = transaction.open_table(CLOCK).map_err(failed)?;
    let noted = clock.get(()).map_err(failed)?.map_or(0, |noted| noted.value());
    if now_ms > noted.saturating_add(1_000) {
        clock.insert((), now_ms).map_err(failed)?;
    }
    Ok(())
}

/// Where the clock was set back, moves all times with it: what waits is due after the pause that it had to wait.
pub(super) fn follow_clock(transaction: &WriteTransaction, now_ms: u64) -> Result<()> {
    let mut clock = transaction.open_table(CLOCK).map_err(failed)?;
    let noted = clock.get(()).map_err(failed)?.map_or(0, |noted| noted.value());
    let back_ms = noted.saturating_sub(now_ms);
    if back_ms <= BACKWARDS_MS {
        return Ok(());
    }
    tracing::warn!(seconds = back_ms / 1_000, "the clock was set back; messages that wait are moved with it");
    clock.insert((), now_ms).map_err(failed)?;
    let moved = |time_ms: u64| time_ms.saturating_sub(back_ms).max(now_ms);
    let mut due = transaction.open_table(DUE).map_err(failed)?;
    let all = due.iter().map_err(failed)?.map(|row| row.map(|(place, attempts)| (place.value(), attempts.value())));
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(failed)?;
    for (place, attempts) in all.into_iter().filter(|((_, due_ms, _), _)| *due_ms > now_ms) {
        due.remove(place).map_err(failed)?;
        due.insert((place.0, moved(place.1), place.2), attempts).map_err(failed)?;
    }
    let mut ordered = transaction.open_table(ORDERED).map_err(failed)?;
    let mut ahead = Vec::new();
    for row in ordered.iter().map_err(failed)? {
        let (place, enqueued) = row.map_err(failed)?;
        let (source, key, sequence) = place.value();
        if enqueued.value() > now_ms {
            ahead.push((source, key.to_owned(), sequence));
        }
    }
    for (source, key, sequence) in ahead {
        ordered.insert((source, key.as_str(), sequence), now_ms).map_err(failed)?;
    }
    Ok(())
}

/// Makes these the subscribed queues, and ends all leases.
pub(super) fn subscribe_in(transaction: &WriteTransaction, subscribed: &[EventQueue], now_ms: u64) -> Result<()> {
    follow_clock(transaction, now_ms)?;
    let mut sources = transaction.open_table(SOURCES).map_err(failed)?;
    let rows =
        sources.iter().map_err(failed)?.map(|row| row.map(|(key, row)| (key.value().to_owned(), row.value().into())));
    let mut rows: Vec<(String, Row)> = rows.collect::<Result<_, _>>().map_err(failed)?;
    let subscribed: Vec<String> = subscribed.iter().map(key).collect();
    for key in &subscribed {
        if rows.iter().all(|(known, _)| known != key) {
            let number = rows.iter().map(|(_, row)| row.number).max().map_or(0, |last| last + 1);
            rows.push((key.clone(), Row { number, ..Row::default() }));
        }
    }
    for (key, mut row) in rows {
        row.subscribed = subscribed.contains(&key);
        let mut lane = Lane::open(transaction, row)?;
        lane.end_all_leases(now_ms)?;
        sources.insert(key.as_str(), Stored::from(lane.row)).map_err(failed)?;
    }
    Ok(())
}

/// Makes a queue exist that no app has subscribed.
pub(super) fn make_known(transaction: &WriteTransaction, queue: &EventQueue) -> Result<()> {
    let mut sources = transaction.open_table(SOURCES).map_err(failed)?;
    let key = key(queue);
    if sources.get(key.as_str()).map_err(failed)?.is_some() {
        return Ok(());
    }
    let mut next = 0;
    for stored in sources.iter().map_err(failed)? {
        next = next.max(Row::from(stored.map_err(failed)?.1.value()).number + 1);
    }
    let row = Row { number: next, ..Row::default() };
    sources.insert(key.as_str(), Stored::from(row)).map_err(failed)?;
    Ok(())
}

/// The first of `count` numbers that no message had before.
pub(super) fn take_sequence(transaction: &WriteTransaction, count: u64) -> Result<u64> {
    let mut sequence = transaction.open_table(SEQUENCE).map_err(failed)?;
    let last = sequence.get(()).map_err(failed)?.map_or(0, |last| last.value());
    sequence.insert((), last + count).map_err(failed)?;
    Ok(last + 1)
}

/// The subscribed queues of a source.
pub(super) fn subscribed_in(
    transaction: &WriteTransaction,
    kind: ResourceKind,
    source: &str,
) -> Result<Vec<EventQueue>> {
    let sources = transaction.open_table(SOURCES).map_err(failed)?;
    let first = source_key(kind, source);
    // `0` is the character after `/`: this is the range of the source itself and of all that begins with `source/`.
    let end = format!("{first}0");
    let mut queues = Vec::new();
    for stored in sources.range(first.as_str()..end.as_str()).map_err(failed)? {
        let (key, row) = stored.map_err(failed)?;
        let queue = from_key(key.value()).filter(|queue| queue.kind() == kind && queue.source() == source);
        queues.extend(queue.filter(|_| Row::from(row.value()).subscribed));
    }
    Ok(queues)
}

/// A message to append.
pub(super) struct Encoded {
    pub(super) ordering_key: Option<String>,
    /// How long it waits before its first delivery.
    pub(super) delay_ms: u64,
    pub(super) record: Vec<u8>,
}

/// Appends messages to each of these queues. A message has the same id in all of them. Returns the first id; the others
/// follow it.
pub(super) fn append_in(
    transaction: &WriteTransaction,
    queues: &[EventQueue],
    now_ms: u64,
    messages: &[Encoded],
    chaos: Option<&Chaos>,
) -> Result<u64> {
    let count = messages.len() as u64;
    let first_id = take_sequence(transaction, count)?;
    note_time(transaction, now_ms)?;
    for (number, queue) in queues.iter().enumerate() {
        // In the first queue, the ids are the places.
        let first_place = if number == 0 { first_id } else { take_sequence(transaction, count)? };
        Lane::with(transaction, queue, |lane| {
            (0..).zip(messages).try_for_each(|(offset, Encoded { ordering_key, delay_ms, record })| {
                let record = match number {
                    0 => Cow::Borrowed(record),
                    _ => Cow::Owned(Record::decode(record)?.with_id(first_id + offset).encode()?),
                };
                let (place, due_ms) = (first_place + offset, now_ms.saturating_add(*delay_ms));
                let Some(chaos) = chaos else { return lane.append(place, due_ms, ordering_key.as_deref(), &record) };
                let plan = chaos.message(queue, ordering_key.is_some(), place);
                let due_ms = due_ms.saturating_add(plan.late_ms);
                if let Some(later_ms) = plan.copy_ms {
                    let copy = Record::decode(&record)?.with_id(first_id + offset).encode()?;
                    lane.append(take_sequence(transaction, 1)?, due_ms.saturating_add(later_ms), None, &copy)?;
                }
                lane.append(place, due_ms, ordering_key.as_deref(), &record)
            })
        })?;
    }
    Ok(first_id)
}
