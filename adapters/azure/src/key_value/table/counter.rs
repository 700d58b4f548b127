//! Counters. Table Storage cannot add: an item is read, added to, and written back over what was read.

use isobar_abstraction::Result;
use isobar_abstraction::key_value::Key;

use super::TableKeyValue;
use isobar_rest::attempt::{COUNTER_TRIES, lost_races, pause, write_back};

use crate::profile::PROFILE;

impl TableKeyValue {
    /// Exact: what lost a race was not written, and what was written without an answer is told by the
    /// row's `write`. Two requests, and two more for each race that is lost; before each, a wait of up
    /// to 10 ms that doubles to 640 ms.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        for attempt in 0..COUNTER_TRIES {
            if let Some(sum) = write_back(self, key, delta, self.get_item(key).await?, PROFILE.limits.counter).await? {
                return Ok(sum);
            }
            pause(&*self.clock, attempt).await;
        }
        let advice = "spread it over several keys, or keep the table in Cosmos DB, which adds by itself";
        Err(lost_races(key, COUNTER_TRIES, advice))
    }
}
