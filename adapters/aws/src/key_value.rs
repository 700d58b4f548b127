//! Tables in DynamoDB.
//!
//! A table has the string keys `pk` (partition) and `sk` (sort), and DynamoDB's time to live on the
//! attribute `ttl`; what an item holds is in [`stored`].

mod batch;
mod condition;
mod counter;
mod range;
mod stored;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use isobar_abstraction::key_value::{Item, Items, Key, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::{Clock, Error, ErrorKind, KeyValue, Location, Result};
use isobar_rest::{Answered, Refusal, Safety};
use serde::{Deserialize, Serialize};

use crate::State;
use crate::profile::ITEM_BYTES;
use crate::service::AwsService;
use stored::{Found, StoredKey};

/// Tries of what other writes, or throttling, keep from happening.
const TRIES: u32 = 10;

/// Opens what configuration places here. Connects to nothing. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, at: &Location) -> Result<Arc<dyn KeyValue>> {
    Ok(Arc::new(DynamoKeyValue::new(Arc::clone(state), at)?))
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
struct Got {
    #[serde(rename = "Item")]
    item: Option<Found>,
}

impl DynamoKeyValue {
    fn new(state: Arc<State>, at: &Location) -> Result<Self> {
        let placed = state.config.place(at)?;
        let clock = Arc::clone(&state.clock);
        Ok(Self { service: AwsService::at(state, "dynamodb", &placed)?, clock, table: placed.name })
    }

    async fn call(
        &self,
        operation: &'static str,
        safety: Safety,
        input: &(impl Serialize + Sync),
    ) -> Result<Answered<Bytes>> {
        let answer = self.service.json("DynamoDB_20120810", operation, safety, input).await?;
        Ok(answer.map_err(|refusal| self.explained(refusal)))
    }

    /// What is known better of a table than of any service.
    fn explained(&self, refusal: Refusal) -> Refusal {
        let (table, region) = (&self.table, self.service.region());
        let said = |part: &&str| refusal.message.contains(*part);
        let (kind, explanation) = match refusal.code.as_str() {
            "ResourceNotFoundException" => (
                ErrorKind::NotFound,
                format!(
                    "there is no DynamoDB table `{table}` in {region}; create it with the keys `pk` and `sk`, of type S"
                ),
            ),
            "ValidationException" | "ValidationError" if OTHER_KEYS.iter().any(said) => {
                (ErrorKind::Config, format!("the DynamoDB table `{table}` needs the keys `pk` and `sk`, of type S"))
            }
            "ValidationException" | "ValidationError" if said(&"tem size") && said(&"exceeded") => (
                ErrorKind::TooLarge { limit: ITEM_BYTES },
                format!("the item is over {ITEM_BYTES} bytes, the most that fits into DynamoDB"),
            ),
            "TransactionConflictException" | "TransactionInProgressException" | "ReplicatedWriteConflictException" => {
                (ErrorKind::Throttled { retry_after: None }, "other writes of the same item are under way".to_owned())
            }
            _ => return refusal,
        };
        Refusal { kind, explanation, ..refusal }
    }
}

/// What DynamoDB says of a table that has other keys.
const OTHER_KEYS: &[&str] = &[
    "does not match the schema",
    "Missing the key",
    "Type mismatch for key",
    "missed key schema element",
    "key condition not supported",
];

/// Reads an answer. Errors: `Internal`, without its source: the words of serde quote the value.
fn read<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::internal(format!("DynamoDB's answer is not of the expected form at line {line} column {column}"))
    })
}

#[async_trait]
impl KeyValue for DynamoKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let input = GetItem { table_name: &self.table, key: StoredKey::from(key), consistent_read: true };
        let body = self.call("GetItem", Safety::Read, &input).await??;
        match read::<Got>(&body)?.item {
            Some(found) => found.into_item(key.clone(), self.clock.now()),
            None => Ok(None),
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.batch_get(keys).await
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.put_item(&put).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.delete_item(key, version).await
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
