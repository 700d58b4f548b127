//! What a write does to a table, inside a write transaction.

use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{
    Item, Key, Put, PutMode, Version, Write, checked_writes, put_of_sum, sum_of,
};
use isobar_abstraction::{Error, Result};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{ITEMS, NEVER, Row, RowKey, find, row_key, version};
use crate::family::open;
use crate::profile::PROFILE;
use crate::store::{Store, failed, is_fault};

/// How many writes the store has seen: the last version that was given away.
const VERSIONS: TableDefinition<'_, (), u64> = TableDefinition::new("kv.versions");

/// Expiry in milliseconds, redb table, partition and sort key of every item that expires.
const EXPIRIES: TableDefinition<'_, Expiry<'static>, ()> = TableDefinition::new("kv.expiries");

type Expiry<'a> = (u64, &'a str, &'a str, &'a str);

/// A table in a write transaction.
pub(super) struct Change<'t> {
    transaction: &'t WriteTransaction,
    member: &'t str,
    rows: Table<'t, RowKey, Row>,
    /// Opened at the first use.
    expiries: Option<Table<'t, Expiry<'static>, ()>>,
    /// The last version that was given away; `None` before the first use.
    last_version: Option<u64>,
    now_ms: u64,
    written: Vec<Key>,
}

impl<'t> Change<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, member: &'t str, now_ms: u64) -> Result<Self> {
        let rows = ITEMS.open_in(transaction, member)?;
        Ok(Self { transaction, member, rows, expiries: None, last_version: None, now_ms, written: Vec::new() })
    }

    /// Stores the last version, and returns the keys of the items that were written.
    pub(super) fn into_written(self) -> Result<Vec<Key>> {
        if let Some(last) = self.last_version {
            self.transaction.open_table(VERSIONS).map_err(failed)?.insert((), last).map_err(failed)?;
        }
        Ok(self.written)
    }

    fn live(&self, key: &Key) -> Result<Option<Item>> {
        find(&self.rows, key, self.now_ms)
    }

    /// Does all writes or, where one of them is not allowed, none.
    pub(super) fn transact(&mut self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let writes = checked_writes(writes, PROFILE.limits.counter_max_abs, |key| self.live(key))?;
        writes.iter().map(|write| self.apply(write)).collect()
    }

    /// Does each put whose condition is met. Errors: a fault of the store, which aborts all.
    pub(super) fn put_each(&mut self, puts: &[Put]) -> Result<Vec<Result<Version>>> {
        let limit = PROFILE.limits.counter_max_abs;
        let mut results = Vec::with_capacity(puts.len());
        for put in puts {
            let checked = match put.mode {
                PutMode::Overwrite => Ok(()),
                _ => checked_writes(&[Write::Put(put.clone())], limit, |key| self.live(key)).map(drop),
            };
            results.push(match checked {
                Ok(()) => Ok(self.put(put)?),
                Err(error) if is_fault(&error) => return Err(error),
                Err(error) => Err(error),
            });
        }
        Ok(results)
    }

    /// Does what was checked.
    fn apply(&mut self, write: &Write) -> Result<Option<Version>> {
        match write {
            Write::Put(put) => self.put(put).map(Some),
            Write::Delete { key, .. } => {
                let old = self.rows.remove(row_key(key)).map_err(failed)?.map(|row| row.value().1);
                self.expire(key, old, NEVER)?;
                Ok(None)
            }
            _ => Err(Error::unknown_variant("Write")),
        }
    }

    fn put(&mut self, put: &Put) -> Result<Version> {
        let row = (self.next_version()?, put.expires_at.map_or(NEVER, to_millis), put.value.as_ref());
        let old = self.rows.insert(row_key(&put.key), row).map_err(failed)?.map(|row| row.value().1);
        self.expire(&put.key, old, row.1)?;
        self.written.push(put.key.clone());
        Ok(version(row))
    }

    /// One more than any write of the store had, so that no version ever comes back.
    fn next_version(&mut self) -> Result<u64> {
        let last = match self.last_version {
            Some(last) => last,
            None => {
                let versions = self.transaction.open_table(VERSIONS).map_err(failed)?;
                versions.get(()).map_err(failed)?.map_or(0, |last| last.value())
            }
        };
        self.last_version = Some(last + 1);
        Ok(last + 1)
    }

    /// Keeps the index of expiries in step with an item.
    fn expire(&mut self, key: &Key, old: Option<u64>, new: u64) -> Result<()> {
        let old = old.unwrap_or(NEVER);
        if old == new {
            return Ok(());
        }
        let expiries = match &mut self.expiries {
            Some(expiries) => expiries,
            none => none.insert(self.transaction.open_table(EXPIRIES).map_err(failed)?),
        };
        let at = |expires_ms| (expires_ms, self.member, key.partition.as_str(), key.sort.as_str());
        if old != NEVER {
            expiries.remove(at(old)).map_err(failed)?;
        }
        if new != NEVER {
            expiries.insert(at(new), ()).map_err(failed)?;
        }
        Ok(())
    }

    /// Adds to a counter, which keeps its expiry.
    pub(super) fn add(&mut self, key: &Key, delta: i64) -> Result<i64> {
        let put = put_of_sum(key, delta, self.live(key)?, PROFILE.limits.counter_max_abs)?;
        self.put(&put)?;
        sum_of(&put)
    }
}

/// Deletes up to `limit` expired items of all tables from the file, and returns how many it found
/// in the index: fewer than `limit` means that none is left. Those that expired within the last `lag` stay.
pub(crate) async fn sweep(store: &Store, clock: &Arc<dyn Clock>, limit: usize, lag: Duration) -> Result<usize> {
    let Some(now) = clock.now().checked_sub(lag) else { return Ok(0) };
    let now_ms = to_millis(now);
    // A look is free, a write is an fsync.
    let Some(expiries) = open(&store.read()?, EXPIRIES)? else { return Ok(0) };
    let first = expiries.first().map_err(failed)?.map(|(at, _)| at.value().0);
    match first {
        Some(expires_ms) if expires_ms <= now_ms => store.write(move |to| sweep_in(to, now_ms, limit)).await,
        _ => Ok(0),
    }
}

fn sweep_in(transaction: &WriteTransaction, now_ms: u64, limit: usize) -> Result<usize> {
    let mut expiries = transaction.open_table(EXPIRIES).map_err(failed)?;
    let due = expiries.range::<Expiry<'_>>(..(now_ms.saturating_add(1), "", "", "")).map_err(failed)?.take(limit);
    let owned =
        |(expires_ms, member, partition, sort): Expiry<'_>| (expires_ms, member.to_owned(), Key::new(partition, sort));
    let due = due.map(|row| row.map(|(at, _)| owned(at.value()))).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for (expires_ms, member, key) in &due {
        expiries.remove((*expires_ms, member.as_str(), key.partition.as_str(), key.sort.as_str())).map_err(failed)?;
        let mut rows = ITEMS.open_in(transaction, member)?;
        let stored = rows.get(row_key(key)).map_err(failed)?.map(|row| row.value().1);
        if stored == Some(*expires_ms) {
            rows.remove(row_key(key)).map_err(failed)?;
        }
    }
    Ok(due.len())
}
