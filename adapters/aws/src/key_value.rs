//! Tables in DynamoDB.
//!
//! A table has the string keys `pk` (partition) and `sk` (sort key), and DynamoDB's time to live on the
//! attribute `ttl`; [`stored`] has the attributes of an item.

mod batch;
mod condition;
mod counter;
mod key;
mod range;
mod stored;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::driver::{Clock, Location};
use isobar_abstraction::{ErrorKind, Result};
use isobar_rest::attempt::unique_id;
use isobar_rest::{Safety, ServiceError, ServiceResult, put_in_batches};
use serde::{Deserialize, Serialize};

use crate::State;
use crate::profile::ITEM_BYTES;
use crate::service::{AwsService, JsonApi, read_json};
use batch::{CONCURRENT_REQUESTS, KEYS, PUTS};
use condition::{Condition, Guard};
use stored::{ReadItem, StoredItem, StoredKey};
use write::{DeleteItem, PutItem};

/// The number of attempts of an operation that other writes or throttling prevent.
const TRIES: u32 = 10;

/// Opens the table that configuration maps this location to. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn KeyValue>> {
    let placed = state.config.place(at)?;
    let service = AwsService::at(Arc::clone(state), "dynamodb", &placed)?;
    Ok(Arc::new(DynamoKeyValue { service, clock: Arc::clone(&state.clock), table: placed.name }))
}

/// A DynamoDB table.
#[derive(Debug)]
pub(crate) struct DynamoKeyValue {
    service: AwsService,
    clock: Arc<dyn Clock>,
    table: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetItem<'a> {
    table_name: &'a str,
    key: StoredKey<'a>,
    consistent_read: bool,
}

#[derive(Debug, Deserialize)]
struct GetItemOutput {
    #[serde(rename = "Item")]
    item: Option<ReadItem>,
}

impl DynamoKeyValue {
    async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        input: &(impl Serialize + Sync),
    ) -> Result<ServiceResult<Bytes>> {
        let answer = self.service.json(JsonApi::DYNAMODB, operation, safety, input).await?;
        Ok(answer.map_err(|service_error| self.with_table(service_error)))
    }

    /// Adds the kinds and explanations of errors that are specific to tables.
    fn with_table(&self, service_error: ServiceError) -> ServiceError {
        let (table, region) = (&self.table, self.service.region());
        let contains = |part: &&str| service_error.message.contains(*part);
        let (kind, explanation) = match service_error.code.as_str() {
            "ResourceNotFoundException" => (
                ErrorKind::NotFound,
                format!(
                    "there is no DynamoDB table `{table}` in {region}: create it with the keys `pk` and `sk` of type S"
                ),
            ),
            "ValidationException" | "ValidationError" if OTHER_KEYS.iter().any(contains) => (
                ErrorKind::Config,
                format!(
                    "the DynamoDB table `{table}` has other keys: create one with the keys `pk` and `sk` of type S"
                ),
            ),
            "ValidationException" | "ValidationError" if contains(&"tem size") && contains(&"exceeded") => {
                (ErrorKind::TooLarge, format!("the item is larger than {ITEM_BYTES} bytes, the limit of DynamoDB"))
            }
            "TransactionConflictException" | "TransactionInProgressException" | "ReplicatedWriteConflictException" => {
                (ErrorKind::Throttled, "other writes of the same item are in progress: try again later".to_owned())
            }
            _ => return service_error,
        };
        ServiceError { kind, explanation, ..service_error }
    }
}

/// The key of a record in a stream, from the JSON of its `Keys`; `None` if isobar does not write such a key.
pub(crate) fn key_in_stream(keys: &str) -> Option<Key> {
    serde_json::from_str::<ReadItem>(keys).ok()?.key().ok()
}

/// Parts of DynamoDB's messages about a table with other keys.
const OTHER_KEYS: &[&str] = &[
    "does not match the schema",
    "Missing the key",
    "Type mismatch for key",
    "missed key schema element",
    "key condition not supported",
];

#[async_trait]
impl KeyValue for DynamoKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let input = GetItem { table_name: &self.table, key: StoredKey::from(key), consistent_read: true };
        let body = self.call("GetItem", Safety::Read, &input).await??;
        match read_json::<GetItemOutput>("DynamoDB", &body)?.item {
            Some(item) => item.into_item(key.clone(), self.clock.now()),
            None => Ok(None),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let mut seen = HashSet::new();
        let unique: Vec<_> = keys.iter().filter(|key| seen.insert(*key)).cloned().collect();
        let groups: Vec<_> = unique.chunks(KEYS).map(|group| self.get_group(group.to_vec())).collect();
        let groups: Vec<_> = stream::iter(groups).buffer_unordered(CONCURRENT_REQUESTS).try_collect().await?;
        let items: HashMap<_, _> = groups.into_iter().flatten().map(|item| (item.key.clone(), item)).collect();
        Ok(keys.iter().map(|key| items.get(key).cloned()).collect())
    }

    /// May be repeated, because the version distinguishes this write from all others.
    async fn put(&self, put: Put) -> Result<Version> {
        let version = Version::new(unique_id()?);
        let condition = Condition::try_from(&put.mode)?;
        let guard = condition.guard(self.clock.now()).map(Guard::returning_old);
        let input = PutItem { table_name: &self.table, item: StoredItem::new(&put, &version), guard };
        match self.call("PutItem", Safety::Idempotent, &input).await? {
            Ok(_) => Ok(version),
            Err(service_error) => self.settle(service_error, condition, &put.key, Some(&version)).map(|()| version),
        }
    }

    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        put_in_batches(self, puts, PUTS, |puts| self.put_group(puts)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let condition = Condition::from(version);
        let guard = condition.guard(self.clock.now()).map(Guard::returning_old);
        let input = DeleteItem { table_name: &self.table, key: StoredKey::from(key), guard };
        match self.call("DeleteItem", Safety::Idempotent, &input).await? {
            Ok(_) => Ok(()),
            Err(service_error) => self.settle(service_error, condition, key, None),
        }
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        self.query_items(range).await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.scan_items(segment).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.transact_items(&writes).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.add_item(key, delta).await
    }
}
