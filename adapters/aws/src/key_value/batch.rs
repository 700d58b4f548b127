//! Many items at once.

use std::collections::HashMap;

use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Item, Key};
use isobar_rest::Safety;
use isobar_rest::attempt::{pause, throttled};
use serde::{Deserialize, Serialize};

use super::stored::{Found, StoredKey};
use super::{DynamoKeyValue, TRIES, read};

/// Keys in one request, at most. Source: API reference of `BatchGetItem`.
pub(super) const KEYS: usize = 100;

/// Requests that are under way at once, at most.
pub(super) const AT_ONCE: usize = 4;

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

/// One table was asked; its name may come back in another form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGot {
    #[serde(default)]
    responses: HashMap<String, Vec<Found>>,
    #[serde(default)]
    unprocessed_keys: HashMap<String, Unprocessed>,
}

#[derive(Debug, Deserialize)]
struct Unprocessed {
    #[serde(rename = "Keys")]
    keys: Vec<Found>,
}

impl DynamoKeyValue {
    /// All items at up to 100 keys. DynamoDB leaves keys unprocessed when it is busy, and past 16 MB
    /// of items: they are asked for again as long as it makes way.
    pub(super) async fn get_group(&self, mut keys: Vec<Key>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut in_vain = 0;
        while in_vain < TRIES {
            let left = self.get_some(&keys, &mut items).await?;
            if left.is_empty() {
                return Ok(items);
            }
            in_vain = if left.len() < keys.len() { 0 } else { in_vain + 1 };
            keys = left;
            pause(&*self.clock, in_vain).await;
        }
        Err(throttled("DynamoDB left keys unprocessed every time"))
    }

    /// Adds the items that come, and returns the keys that are left.
    async fn get_some(&self, keys: &[Key], items: &mut Vec<Item>) -> Result<Vec<Key>> {
        let keys = Keys { keys: keys.iter().map(StoredKey::from).collect(), consistent_read: true };
        let input = BatchGetItem { tables: HashMap::from([(self.table.as_str(), keys)]) };
        let body = self.call("BatchGetItem", Safety::Read, &input).await??;
        let got: BatchGot = read(&body)?;
        let now = self.clock.now();
        for mut found in got.responses.into_values().flatten() {
            let key = found.key()?;
            items.extend(found.into_item(key, now)?);
        }
        got.unprocessed_keys.into_values().flat_map(|left| left.keys).map(|mut found| found.key()).collect()
    }
}
