//! Key-value on redb: every table is one redb table, ordered by partition and sort key.

mod change;
#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{
    Item, Items, Key, KeyValue, Put, QueryRange, SCAN_BYTES, ScanSegment, Version, Write,
};
use isobar_abstraction::{Error, Origin, Result};
use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, StorageError, WriteTransaction};

use crate::family::Family;
use crate::pub_sub::Enqueuer;
use crate::store::{Store, failed};
use change::Change;
pub(crate) use change::sweep;

/// Partition and sort key: redb orders tuples part by part, and text by its bytes.
type RowKey = (&'static str, &'static str);

/// Version, expiry in milliseconds or [`NEVER`], and value.
type Row = (u64, u64, &'static [u8]);

const ITEMS: Family<RowKey, Row> = Family::new("kv.items/");

const NEVER: u64 = u64::MAX;

/// The most rows that one page of a scan reads: other work waits for it.
const SCAN_ROWS: usize = 10_000;

/// A table in the local store.
#[derive(Debug)]
pub(crate) struct LocalKeyValue {
    name: Arc<str>,
    member: Arc<str>,
    store: Store,
    clock: Arc<dyn Clock>,
    enqueuer: Enqueuer,
}

/// The names of all tables and their numbers of items, including expired items that are not deleted
/// yet.
pub(crate) fn tables(store: &Store) -> Result<Vec<(String, u64)>> {
    ITEMS.counts(store)
}

/// Calls `visit` with the table, the key and the value of each item that is not expired.
pub(crate) fn each_item(
    transaction: &ReadTransaction,
    now_ms: u64,
    mut visit: impl FnMut(&str, (&str, &str), &[u8]),
) -> Result<()> {
    for table in ITEMS.names(transaction)? {
        let Some(rows) = ITEMS.open(transaction, &ITEMS.member(&table))? else { continue };
        for row in rows.iter().map_err(failed)? {
            let (key, row) = row.map_err(failed)?;
            if is_live(row.value(), now_ms) {
                visit(&table, key.value(), row.value().2);
            }
        }
    }
    Ok(())
}

impl LocalKeyValue {
    /// The table with this name. Opens nothing.
    pub(crate) fn new(name: &str, store: Store, clock: Arc<dyn Clock>, enqueuer: Enqueuer) -> Self {
        Self { name: name.into(), member: ITEMS.member(name).into(), store, clock, enqueuer }
    }

    fn now_ms(&self) -> u64 {
        to_millis(self.clock.now())
    }

    fn rows(&self, transaction: &ReadTransaction) -> Result<Option<ReadOnlyTable<RowKey, Row>>> {
        ITEMS.open(transaction, &self.member)
    }

    /// Runs `change` on the table in one durable write, with the events of the written items.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Change<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (name, member) = (Arc::clone(&self.name), Arc::clone(&self.member));
        let (clock, enqueuer) = (Arc::clone(&self.clock), self.enqueuer.clone());
        let write = move |transaction: &WriteTransaction| {
            // The time of the write itself: an item that expired while the write waited is absent.
            let mut table = Change::open(transaction, &member, to_millis(clock.now()))?;
            let answer = change(&mut table)?;
            let wake = enqueuer.enqueue_writes(transaction, &name, table.into_written()?)?;
            Ok((answer, wake))
        };
        let (answer, _wake) = self.store.write(write).await?;
        Ok(answer)
    }
}

#[async_trait]
impl KeyValue for LocalKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        match self.rows(&self.store.read()?)? {
            Some(rows) => find(&rows, key, self.now_ms()),
            None => Ok(None),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        match self.rows(&self.store.read()?)? {
            Some(rows) => keys.iter().map(|key| find(&rows, key, self.now_ms())).collect(),
            None => Ok(vec![None; keys.len()]),
        }
    }

    async fn put(&self, put: Put) -> Result<Version> {
        let versions = self.transact(vec![Write::Put(put)]).await?;
        versions
            .into_iter()
            .flatten()
            .next()
            .ok_or_else(|| Error::internal("bug in isobar: a put returned no version; please report it"))
    }

    /// One durable write for all.
    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        let count = puts.len();
        let written = self.change(move |table| table.put_each(&puts)).await;
        written.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let write = Write::Delete { key: key.clone(), version: version.cloned() };
        self.transact(vec![write]).await.map(drop)
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        let Some(rows) = self.rows(&self.store.read()?)? else { return Ok(Items::default()) };
        let QueryRange { partition, lower, upper, descending, limit, .. } = range;
        // The first key after a partition is that of the partition with the smallest byte behind it.
        let beyond = format!("{partition}\0");
        let lower = match lower {
            Bound::Unbounded => Bound::Included((partition.as_str(), "")),
            bound => bound.as_ref().map(|sort| (partition.as_str(), sort.as_str())),
        };
        let upper = match upper {
            Bound::Unbounded => Bound::Excluded((beyond.as_str(), "")),
            bound => bound.as_ref().map(|sort| (partition.as_str(), sort.as_str())),
        };
        let rows = rows.range::<(&str, &str)>((lower, upper)).map_err(failed)?;
        match descending {
            true => page(rows.rev(), *limit, self.now_ms()),
            false => page(rows, *limit, self.now_ms()),
        }
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        let Some(rows) = self.rows(&self.store.read()?)? else { return Ok(Items::default()) };
        let after: Option<Key> = segment.after.as_deref().map(serde_json::from_str).transpose().map_err(|_| {
            Error::invalid_input("not a cursor of this scan; pass the cursor of the page before")
                .with_origin(Origin::Request)
        })?;
        let after = after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(row_key(key)));
        let rows = rows.range::<(&str, &str)>((after, Bound::Unbounded)).map_err(failed)?;
        let now_ms = self.now_ms();
        let (mut page, mut bytes) = (Items::default(), 0);
        for (looked, row) in (1..).zip(rows) {
            let (key, row) = row.map_err(failed)?;
            let key = key.value();
            if segment_of(key, segment.segments) == segment.segment && is_live(row.value(), now_ms) {
                let item = item(key, row.value());
                bytes += item.size();
                page.items.push(item);
            }
            if looked == SCAN_ROWS || page.items.len() == segment.limit || bytes >= SCAN_BYTES {
                page.resume = Some(serde_json::to_string(&Key::new(key.0, key.1))?);
                break;
            }
        }
        Ok(page)
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.change(move |table| table.transact(&writes)).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        let key = key.clone();
        self.change(move |table| table.add(&key, delta)).await
    }
}

fn row_key(key: &Key) -> (&str, &str) {
    (&key.partition, &key.sort)
}

fn is_live((_, expires_ms, _): (u64, u64, &[u8]), now_ms: u64) -> bool {
    now_ms < expires_ms
}

fn version((number, _, _): (u64, u64, &[u8])) -> Version {
    Version::new(number.to_string())
}

fn item((partition, sort): (&str, &str), row: (u64, u64, &[u8])) -> Item {
    let (_, expires_ms, value) = row;
    Item::new(Key::new(partition, sort), Bytes::copy_from_slice(value), version(row))
        .with_expires_at((expires_ms != NEVER).then(|| from_millis(expires_ms)))
}

fn find(rows: &impl ReadableTable<RowKey, Row>, key: &Key, now_ms: u64) -> Result<Option<Item>> {
    let row = rows.get(row_key(key)).map_err(failed)?;
    let live = row.as_ref().map(AccessGuard::value).filter(|row| is_live(*row, now_ms));
    Ok(live.map(|row| item(row_key(key), row)))
}

type StoredRow<'a> = Result<(AccessGuard<'a, RowKey>, AccessGuard<'a, Row>), StorageError>;

/// The first `limit` items of these rows.
fn page<'a>(rows: impl Iterator<Item = StoredRow<'a>>, limit: usize, now_ms: u64) -> Result<Items> {
    let mut page = Items::default();
    for row in rows {
        let (key, row) = row.map_err(failed)?;
        if !is_live(row.value(), now_ms) {
            continue;
        }
        if page.items.len() == limit {
            page.resume = page.items.last().map(|item| item.key.sort.clone());
            break;
        }
        page.items.push(item(key.value(), row.value()));
    }
    Ok(page)
}

/// FNV-1a: a cursor must still mean the same segment after an update of isobar or of Rust.
fn segment_of((partition, sort): (&str, &str), segments: u32) -> u32 {
    // No UTF-8 text contains this byte: it separates the two parts.
    let bytes = partition.bytes().chain([0xFF]).chain(sort.bytes());
    let fold = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, fold);
    (hash % u64::from(segments.max(1))) as u32
}
