//! Reads and puts of many items.

use std::collections::HashMap;

use isobar_abstraction::driver::key_value::{Item, Key, Put, Version};
use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::{pause, throttled, unique_id};
use isobar_rest::{PutBatch, Safety};
use serde::{Deserialize, Serialize};

use super::stored::{ReadItem, StoredItem, StoredKey};
use super::{DynamoKeyValue, TRIES};
use crate::service::read_json;

/// The most keys in one request. Source: API reference of `BatchGetItem`.
pub(super) const KEYS: usize = 100;

/// The most concurrent requests of one call.
pub(super) const CONCURRENT_REQUESTS: usize = 4;

/// The limits of `BatchWriteItem`: 25 items of 16 MB together, less the names of their attributes. Source: its API reference.
pub(super) const PUTS: PutBatch = PutBatch { puts: 25, bytes: 15_000_000, one_partition: false, requests: 8 };

#[derive(Debug, Serialize)]
struct BatchGetItem<'a> {
    #[serde(rename = "RequestItems")]
    tables: HashMap<&'a str, Keys<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<'a> {
    keys: Vec<StoredKey<'a>>,
    consistent_read: bool,
}

/// The response for one table, whose name may be in another form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGetItemOutput {
    #[serde(default)]
    responses: HashMap<String, Vec<ReadItem>>,
    #[serde(default)]
    unprocessed_keys: HashMap<String, Unprocessed>,
}

#[derive(Debug, Deserialize)]
struct Unprocessed {
    #[serde(rename = "Keys")]
    keys: Vec<ReadItem>,
}

#[derive(Debug, Serialize)]
struct BatchWriteItem<'a> {
    #[serde(rename = "RequestItems")]
    tables: HashMap<&'a str, Vec<WriteRequest<StoredItem<'a>>>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest<T> {
    put_request: PutRequest<T>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest<T> {
    item: T,
}

#[derive(Debug, Deserialize)]
struct BatchWriteItemOutput {
    #[serde(rename = "UnprocessedItems", default)]
    tables: HashMap<String, Vec<WriteRequest<ReadItem>>>,
}

impl DynamoKeyValue {
    /// All items at up to 100 keys. DynamoDB leaves keys unprocessed when it is busy and after 16 MB
    /// of items: these are requested again as long as there is progress.
    pub(super) async fn get_group(&self, mut keys: Vec<Key>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut failures = 0;
        while failures < TRIES {
            let unprocessed = self.get_some(&keys, &mut items).await?;
            if unprocessed.is_empty() {
                return Ok(items);
            }
            failures = if unprocessed.len() < keys.len() { 0 } else { failures + 1 };
            keys = unprocessed;
            pause(&*self.clock, failures).await;
        }
        Err(throttled("DynamoDB left keys unprocessed in all attempts"))
    }

    /// Adds the items in the response and returns the unprocessed keys.
    async fn get_some(&self, keys: &[Key], items: &mut Vec<Item>) -> Result<Vec<Key>> {
        let keys = Keys { keys: keys.iter().map(StoredKey::from).collect(), consistent_read: true };
        let input = BatchGetItem { tables: HashMap::from([(self.table.as_str(), keys)]) };
        let body = self.call("BatchGetItem", Safety::Read, &input).await??;
        let output: BatchGetItemOutput = read_json("DynamoDB", &body)?;
        let now = self.clock.now();
        for mut item in output.responses.into_values().flatten() {
            let key = item.key()?;
            items.extend(item.into_item(key, now)?);
        }
        output
            .unprocessed_keys
            .into_values()
            .flat_map(|unprocessed| unprocessed.keys)
            .map(|mut key| key.key())
            .collect()
    }

    /// Puts up to 25 items, without conditions. Those that DynamoDB leaves unprocessed are sent again as long as there is
    /// progress; their versions stay the same, so a repeated request has no other effect.
    pub(super) async fn put_group(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        let versions = puts.iter().map(|_| unique_id().map(Version::new)).collect::<Result<Vec<_>>>();
        let versions = match versions {
            Ok(versions) => versions,
            Err(error) => return vec![Err(error); puts.len()],
        };
        let mut open: Vec<_> = (0..puts.len()).collect();
        let mut failures = 0;
        let error = loop {
            let unprocessed = match self.put_some(&puts, &versions, &open).await {
                Ok(unprocessed) if unprocessed.is_empty() => return versions.into_iter().map(Ok).collect(),
                Ok(unprocessed) => unprocessed,
                Err(error) => break error,
            };
            failures = if unprocessed.len() < open.len() { 0 } else { failures + 1 };
            open = unprocessed;
            if failures == TRIES {
                break throttled("DynamoDB left items unprocessed in all attempts");
            }
            pause(&*self.clock, failures).await;
        };
        let mut results: Vec<_> = versions.into_iter().map(Ok).collect();
        for place in open {
            results[place] = Err(error.clone());
        }
        results
    }

    /// Puts the items at these places and returns the places of the unprocessed ones.
    async fn put_some(&self, puts: &[Put], versions: &[Version], places: &[usize]) -> Result<Vec<usize>> {
        let request = |&place: &usize| {
            let item = StoredItem::new(&puts[place], &versions[place]);
            WriteRequest { put_request: PutRequest { item } }
        };
        let items = places.iter().map(request).collect();
        let input = BatchWriteItem { tables: HashMap::from([(self.table.as_str(), items)]) };
        let body = self.call("BatchWriteItem", Safety::Idempotent, &input).await??;
        let output: BatchWriteItemOutput = read_json("DynamoDB", &body).map_err(Error::with_outcome_unknown)?;
        let unprocessed = output.tables.into_values().flatten();
        let place = |mut write: WriteRequest<ReadItem>| {
            let key = write.put_request.item.key()?;
            let place = places.iter().copied().find(|&place| puts[place].key == key);
            place.ok_or_else(|| Error::internal(format!("DynamoDB left `{key}` unprocessed, which was not sent")))
        };
        unprocessed.map(place).collect::<Result<_>>().map_err(Error::with_outcome_unknown)
    }
}
