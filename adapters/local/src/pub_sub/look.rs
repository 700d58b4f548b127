//! Looking at the queue without changing it.

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::clock::from_millis;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::pub_sub::Message;
use isobar_abstraction::{EventQueue, Result};
use redb::{Key, ReadOnlyTable, ReadTransaction, TableDefinition, Value};

use super::lane::{DEAD, DUE, MESSAGES, ORDERED, Row, SOURCES};
use super::queue::Queue;
use super::record::{DeadLetterDetails, Record, damaged};
use super::{from_key, key};
use crate::family;
use crate::store::failed;

/// A message that waits.
pub(crate) struct Waiting {
    pub(crate) message: Message<Bytes>,
    /// When it is due; `None` after others of its ordering key.
    pub(crate) due: Option<SystemTime>,
}

/// The place of a message that waits, with its deliveries so far.
struct Place {
    sequence: u64,
    attempts: u32,
    due: Option<SystemTime>,
}

impl Queue {
    /// When the next message is due; it may be past.
    pub(crate) fn next_due(&self, queue: &EventQueue) -> Result<Option<SystemTime>> {
        Ok(self.next_due_ms(queue)?.map(from_millis))
    }

    pub(super) fn next_due_ms(&self, queue: &EventQueue) -> Result<Option<u64>> {
        let read = self.store().read()?;
        next_due_in(&read, queue)
    }

    /// All queues with their counts and when the next message of each is due, as of one moment: a
    /// message that moves on meanwhile is in one place of it, and never in none.
    pub(crate) fn states(&self) -> Result<Vec<(EventQueue, Row, Option<SystemTime>)>> {
        let read = self.store().read()?;
        let state = |queue: EventQueue| {
            let counts = row(&read, &queue)?.unwrap_or_default();
            let next_due = next_due_in(&read, &queue)?.map(from_millis);
            Ok((queue, counts, next_due))
        };
        sources_in(&read)?.into_iter().map(state).collect()
    }

    /// The counts of a queue, which are kept and not counted.
    pub(crate) fn counts(&self, queue: &EventQueue) -> Result<Row> {
        Ok(row(&self.store().read()?, queue)?.unwrap_or_default())
    }

    /// The queues that are subscribed or have messages left.
    #[cfg(test)]
    pub(crate) fn sources(&self) -> Result<Vec<EventQueue>> {
        sources_in(&self.store().read()?)
    }

    /// Up to `limit` messages that wait: in the order in which they are due, and after them those
    /// that wait for another of their ordering key.
    pub(crate) fn peek(&self, queue: &EventQueue, limit: usize) -> Result<Vec<Waiting>> {
        let read = self.store().read()?;
        let Some(row) = row(&read, queue)? else { return Ok(Vec::new()) };
        let mut places = due(&read, row.number, limit)?;
        if places.len() < limit {
            places.extend(blocked(&read, row.number, limit - places.len())?);
        }
        let messages = open(&read, MESSAGES)?;
        let mut peeked = Vec::new();
        for Place { sequence, attempts, due } in places {
            if let Some(record) = messages.get((row.number, sequence)).map_err(failed)? {
                let message = Record::decode(record.value())?.into_message(sequence, attempts.saturating_add(1));
                peeked.push(Waiting { message, due });
            }
        }
        Ok(peeked)
    }
}

/// Calls `visit` with the topic and each message of its subscriptions, those that wait and the dead letters.
pub(crate) fn each_message(read: &ReadTransaction, mut visit: impl FnMut(&str, &Message<Bytes>)) -> Result<()> {
    let queues = sources_in(read)?.into_iter().filter(|queue| queue.kind() == ResourceKind::Topic);
    for queue in queues {
        let Some(row) = row(read, &queue)? else { continue };
        let all = (row.number, 0)..=(row.number, u64::MAX);
        for stored in open(read, MESSAGES)?.range(all.clone()).map_err(failed)? {
            let (place, record) = stored.map_err(failed)?;
            visit(queue.source(), &Record::decode(record.value())?.into_message(place.value().1, 1));
        }
        for stored in open(read, DEAD)?.range(all).map_err(failed)? {
            let (place, stored) = stored.map_err(failed)?;
            let (_, record) = DeadLetterDetails::decode(stored.value())?;
            visit(queue.source(), &record.into_message(place.value().1, 1));
        }
    }
    Ok(())
}

/// The places of what is due next.
fn due(read: &ReadTransaction, source: u32, limit: usize) -> Result<Vec<Place>> {
    let due = open(read, DUE)?.range(all_due(source)).map_err(failed)?.take(limit);
    let due = due.map(|row| {
        row.map(|(place, attempts)| {
            let (_, due_ms, sequence) = place.value();
            Place { sequence, attempts: attempts.value(), due: Some(from_millis(due_ms)) }
        })
    });
    due.collect::<Result<_, _>>().map_err(failed)
}

/// The places of those that are not the first of their ordering key, and were never delivered.
fn blocked(read: &ReadTransaction, source: u32, limit: usize) -> Result<Vec<Place>> {
    let (mut blocked, mut key_before) = (Vec::new(), None);
    for stored in open(read, ORDERED)?.range((source, "", 0)..(source + 1, "", 0)).map_err(failed)? {
        let (place, _) = stored.map_err(failed)?;
        let (_, key, sequence) = place.value();
        if key_before.as_deref() != Some(key) {
            key_before = Some(key.to_owned());
        } else if blocked.len() < limit {
            blocked.push(Place { sequence, attempts: 0, due: None });
        } else {
            break;
        }
    }
    Ok(blocked)
}

fn all_due(source: u32) -> std::ops::RangeInclusive<(u32, u64, u64)> {
    (source, 0, 0)..=(source, u64::MAX, u64::MAX)
}

/// What is known of a queue.
pub(super) fn row(read: &ReadTransaction, queue: &EventQueue) -> Result<Option<Row>> {
    let Some(sources) = family::open(read, SOURCES)? else { return Ok(None) };
    let row = sources.get(key(queue).as_str()).map_err(failed)?;
    Ok(row.map(|row| row.value().into()))
}

/// One of the tables that exist since the first source was made known.
pub(super) fn open<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<ReadOnlyTable<K, V>> {
    family::open(read, table)?.ok_or_else(|| damaged("a table is missing"))
}

fn sources_in(read: &ReadTransaction) -> Result<Vec<EventQueue>> {
    let Some(sources) = family::open(read, SOURCES)? else { return Ok(Vec::new()) };
    let mut known = Vec::new();
    for stored in sources.range::<&str>(..).map_err(failed)? {
        let (key, row) = stored.map_err(failed)?;
        let row = Row::from(row.value());
        if row.subscribed || row.waiting + row.leased + row.dead > 0 {
            known.extend(from_key(key.value()));
        }
    }
    Ok(known)
}

fn next_due_in(read: &ReadTransaction, queue: &EventQueue) -> Result<Option<u64>> {
    let Some(row) = row(read, queue)? else { return Ok(None) };
    let mut due = open(read, DUE)?.range(all_due(row.number)).map_err(failed)?;
    let next = due.next().transpose().map_err(failed)?;
    Ok(next.map(|(place, _)| place.value().1))
}
