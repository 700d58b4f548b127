//! Reads of many items.

use std::collections::HashMap;

use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Item, Key};
use isobar_rest::Safety;
use isobar_rest::attempt::{pause, throttled};
use serde::{Deserialize, Serialize};

use super::stored::{ReadItem, StoredKey};
use super::{DynamoKeyValue, TRIES};
use crate::service::read_json;

/// The most keys in one request. Source: API reference of `BatchGetItem`.
pub(super) const KEYS: usize = 100;

/// The most concurrent requests of one call.
pub(super) const CONCURRENT_REQUESTS: usize = 4;

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
}
