//! Counters. Table Storage cannot add: an item is read, added to, and written back over what was read.

use isobar_abstraction::key_value::Key;
use isobar_abstraction::{Error, Origin, Result};

use super::TableKeyValue;
use crate::key_value::attempt::{COUNTER_TRIES, write_back};

impl TableKeyValue {
    /// Exact: what lost a race was not written, and what was written without an answer is told by the
    /// row's `write`. Two requests, and two more for each race that is lost; before each, a wait of up
    /// to 10 ms that doubles to 640 ms.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        for attempt in 0..COUNTER_TRIES {
            if let Some(sum) = write_back(self, key, delta).await? {
                return Ok(sum);
            }
            self.pause(attempt).await;
        }
        let advice = "spread it over several keys, or keep the table in Cosmos DB, which adds by itself";
        let message = format!("lost {COUNTER_TRIES} races for the counter at `{key}`: {advice}");
        Err(Error::conflict(message).with_origin(Origin::Service))
    }
}
