//! Counters: DynamoDB's addition, and the cases that it does not support.

use std::time::SystemTime;

use isobar_abstraction::driver::key_value::{Item, Key, Version};
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use isobar_rest::attempt::{counter_contention, pause, throttled, unique_id, write_back};
use serde::{Deserialize, Serialize};

use super::condition::{ADD_TO_COUNTER, ConditionalCheckFailed, Guard};
use super::stored::{ReadItem, StoredKey};
use super::{DynamoKeyValue, TRIES};
use crate::profile::PROFILE;

/// An addition; in a transaction it returns no values.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateItem<'a> {
    table_name: &'a str,
    key: StoredKey<'a>,
    update_expression: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_values: Option<&'static str>,
    #[serde(flatten)]
    guard: Guard<'a>,
}

#[derive(Debug, Deserialize)]
struct Updated {
    #[serde(rename = "Attributes")]
    attributes: ReadItem,
}

/// The result of DynamoDB's addition.
enum Addition {
    /// The new value.
    Sum(i64),
    /// Not done because of the stored item.
    NotCounter(Option<Item>),
    /// Not done because of a transaction with the same item.
    Busy,
}

impl DynamoKeyValue {
    /// Adds to a counter, usually in one request. An expired counter restarts, and a number of another writer,
    /// which may be text, is read, added to and written back.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        let mut busy = false;
        for attempt in 0..TRIES {
            let stored = match self.add_natively(key, delta).await? {
                Addition::Sum(sum) => return Ok(sum),
                Addition::NotCounter(stored) => stored,
                Addition::Busy => {
                    busy = true;
                    pause(&*self.clock, attempt).await;
                    continue;
                }
            };
            if let Some(sum) = write_back(self, key, delta, stored, PROFILE.limits.counter_max_abs).await? {
                return Ok(sum);
            }
            pause(&*self.clock, attempt).await;
        }
        if busy {
            return Err(throttled("transactions with the same item are in progress"));
        }
        Err(counter_contention(key, TRIES, "write it with `add` only"))
    }

    pub(super) fn addition<'a>(
        &'a self,
        key: &'a Key,
        delta: i64,
        version: &'a Version,
        now: SystemTime,
    ) -> UpdateItem<'a> {
        UpdateItem {
            table_name: &self.table,
            key: StoredKey::from(key),
            update_expression: ADD_TO_COUNTER,
            return_values: None,
            guard: Guard::of_counter(delta, PROFILE.limits.counter_max_abs, version, now).returning_old(),
        }
    }

    /// Adds by DynamoDB's update. Not repeated if the addition may have happened, since it would count twice.
    async fn add_natively(&self, key: &Key, delta: i64) -> Result<Addition> {
        let (version, now) = (Version::new(unique_id()?), self.clock.now());
        let input = self.addition(key, delta, &version, now);
        let input = UpdateItem { return_values: Some("ALL_NEW"), ..input };
        match self.call("UpdateItem", Safety::Once, &input).await? {
            Ok(body) => {
                let sum = serde_json::from_slice(&body).ok().and_then(|updated: Updated| updated.attributes.counter());
                let malformed =
                    || Error::internal("DynamoDB added to the counter, but its response contains no integer");
                sum.map(Addition::Sum).ok_or_else(|| malformed().with_outcome_unknown())
            }
            Err(service_error) if service_error.code == "TransactionConflictException" && !service_error.uncertain => {
                Ok(Addition::Busy)
            }
            Err(service_error) => {
                let Some(failed) = ConditionalCheckFailed::of(&service_error) else { return Err(service_error.into()) };
                let stored = failed.item.map(|item| item.into_item(key.clone(), now)).transpose()?;
                Ok(Addition::NotCounter(stored.flatten()))
            }
        }
    }
}
