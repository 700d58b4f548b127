//! Tables in Table Storage: the cheaper service, in the storage account that a Functions app has anyway.
//!
//! [`key`] describes the key of a row, [`stored`] its content. Differences from Cosmos DB:
//!
//! - **No time to live.** An expired item is never returned, and stays in the table until it is overwritten or deleted.
//!   No read deletes it: a reader may have no permission, or a wrong clock.
//! - **No descending order.** See [`descending`] for the cost.
//! - **No increment.** A counter is read and written back; under contention this is slow, but exact.
//! - A create that finds a row reads it, to see whether it has expired: `AlreadyExists` costs two requests.
//! - `get_many` reads each key in a separate request, eight at a time: a filter of several keys reads the partition.
//! - In a transaction, a delete of an absent item costs a second and a third request.
//!
//! Source: <https://learn.microsoft.com/azure/storage/tables/table-storage-design-for-query>.

mod batch;
mod change;
mod descending;
mod key;
mod range;
mod request;
mod service_error;
mod stored;
#[cfg(test)]
mod tests;
mod transact;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::{COUNTER_ATTEMPTS, counter_contention, pause, throttled, write_back};
use isobar_rest::{PageSize, PutBatch, put_in_batches, put_together};
use serde::Deserialize;

use crate::State;
use crate::config::StorageAccount;
use crate::profile::PROFILE;
use key::RowKey;
use request::Requests;
use service_error::is_absent;
use stored::Found;

/// Attempts of an operation that other writes prevent.
const TRIES: u32 = 10;

/// The most concurrent reads.
const CONCURRENCY: usize = 8;

/// The puts of one entity group transaction: less than 4 MiB, with room for keys and headers.
const PUTS: PutBatch = PutBatch { puts: 100, bytes: 3_000_000, one_partition: true, requests: 16 };

/// A table of a storage account.
#[derive(Debug)]
pub(crate) struct TableKeyValue {
    requests: Requests,
    clock: Arc<dyn Clock>,
    page_size: PageSize,
}

impl TableKeyValue {
    /// Connects to nothing.
    pub(crate) fn new(state: &Arc<State>, account: &StorageAccount, table: String) -> Self {
        let clock = Arc::clone(&state.clock);
        Self { requests: Requests::new(state, account, table), clock, page_size: PageSize::default() }
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The row with this key, also an expired one.
    async fn find(&self, row: &RowKey) -> Result<Option<Found>> {
        match self.requests.read(row).await? {
            Ok(answer) => Found::read(read(answer.body())?).map(Some),
            Err(service_error) if is_absent(&service_error) => Ok(None),
            Err(service_error) => Err(service_error.into()),
        }
    }
}

/// Reads a response. Errors: `Internal`, without its source: serde's message quotes the value.
fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::internal(format!("Table Storage's response is not of the expected form at line {line} column {column}"))
    })
}

fn busy(key: &Key) -> Error {
    throttled(format!("other writes of the item at `{key}`, or of its transaction, were first at every attempt"))
}

#[async_trait]
impl KeyValue for TableKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let found = self.find(&RowKey::from(key)).await?;
        found.filter(|found| found.tag.is_live(self.now())).map(|found| found.into_item(key.clone())).transpose()
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let mut found: HashMap<&Key, Option<Item>> = keys.iter().map(|key| (key, None)).collect();
        let distinct: Vec<_> = found.keys().copied().collect();
        let reads: Vec<_> =
            distinct.into_iter().map(|key| async move { Ok::<_, Error>((key, self.get(key).await?)) }).collect();
        let items: Vec<_> = stream::iter(reads).buffer_unordered(CONCURRENCY).try_collect().await?;
        found.extend(items);
        Ok(keys.iter().map(|key| found.get(key).cloned().flatten()).collect())
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.put_item(&put).await
    }

    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        put_in_batches(self, puts, PUTS, |puts| put_together(self, puts)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.delete_item(key, version).await
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        if range.descending { self.descending(range).await } else { self.ascending(range).await }
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.scan_items(segment).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.transact_items(&writes).await
    }

    /// Reads the counter, adds, and replaces the version that was read. Exact: a write that lost a race was not applied,
    /// and a write whose response was lost is recognized by the row's `write`. Two requests, and two more for each lost
    /// race; before each, a wait of up to 10 ms that doubles to 640 ms.
    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        for attempt in 0..COUNTER_ATTEMPTS {
            if let Some(sum) =
                write_back(self, key, delta, self.get(key).await?, PROFILE.limits.counter_max_abs).await?
            {
                return Ok(sum);
            }
            pause(&*self.clock, attempt).await;
        }
        let advice = "spread it over several keys, or place the table in Cosmos DB, which increments on the server";
        Err(counter_contention(key, COUNTER_ATTEMPTS, advice))
    }
}
