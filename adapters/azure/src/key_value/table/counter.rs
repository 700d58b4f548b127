//! Counters. Table Storage cannot add: an item is read, added to, and written back over what was read.

use isobar_abstraction::key_value::{Key, Put, PutMode, add_to_counter};
use isobar_abstraction::{Error, ErrorKind, Result};

use super::TableKeyValue;
use crate::profile::PROFILE;

/// Races that one addition may lose. Of those who race one always wins, so that a hundred writers of one
/// counter all come to their turn.
const RACES: u32 = 100;

impl TableKeyValue {
    /// Exact: what lost a race was not written, and what was written without an answer is told by the
    /// row's `write`. Two requests, and two more for each race that is lost; before each, a wait of up
    /// to 10 ms that doubles to 640 ms.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        for attempt in 0..RACES {
            let stored = self.get_item(key).await?;
            let value = stored.as_ref().map(|item| item.value.as_ref());
            let sum = add_to_counter(value, delta, PROFILE.limits.counter)?;
            let (mode, expires_at) = match stored {
                Some(item) => (PutMode::Update(item.version), item.expires_at),
                None => (PutMode::Create, None),
            };
            let put = Put { key: key.clone(), value: sum.to_string().into(), mode, expires_at };
            match self.put_item(&put).await {
                Ok(_) => return Ok(sum),
                // What may have been counted must not be counted again.
                Err(error) if error.outcome_unknown() => return Err(error),
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
            self.pause(attempt).await;
        }
        let advice = "spread it over several keys, or keep the table in Cosmos DB, which adds by itself";
        Err(Error::conflict(format!("lost {RACES} races for the counter at `{key}`: {advice}")))
    }
}
