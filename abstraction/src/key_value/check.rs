//! What is checked of keys and values before a driver is given them.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Key, KeyValue, Put, PutMode, PutOptions};
use crate::clock::{from_millis, to_millis};
use crate::handle::Resource;
use crate::{Error, Result, json};

impl Resource<dyn KeyValue> {
    /// Makes of a put what a driver takes.
    pub(super) fn prepare<T: Serialize + DeserializeOwned + 'static>(
        &self,
        operation: &'static str,
        key: Key,
        value: &T,
        options: PutOptions,
    ) -> Result<Put> {
        let explain = |error| self.explain(operation, error);
        self.check_key(operation, &key)?;
        let value = json::encode_readable(value).map_err(explain)?;
        let size = (key.partition.len() + key.sort.len() + value.len()) as u64;
        let limit = self.limits.item_bytes;
        if size > limit {
            return Err(explain(Error::too_large("the item, keys and value together,", size, limit)));
        }
        if let PutMode::Update(version) = &options.mode {
            version.check().map_err(explain)?;
        }
        let expires_at = options.ttl.map(|ttl| self.expiry(ttl)).transpose().map_err(explain)?;
        Ok(Put { key, value, mode: options.mode, expires_at })
    }

    fn expiry(&self, ttl: Duration) -> Result<SystemTime> {
        let expiry = self.clock.now().checked_add(ttl).filter(|_| !ttl.is_zero()).and_then(whole_millis);
        // The year 9999 is the last that RFC 3339, and so every cloud's console, can show.
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        expiry
            .filter(|expiry| *expiry <= last)
            .ok_or_else(|| Error::invalid("a time to live must be more than zero and end before the year 10000"))
    }

    pub(super) fn check_key(&self, operation: &'static str, key: &Key) -> Result<()> {
        self.check_partition(operation, &key.partition)?;
        let (size, limit) = (key.sort.len() as u64, self.limits.sort_bytes);
        if size > limit {
            return Err(self.explain(operation, Error::too_large("the sort key", size, limit)));
        }
        Ok(())
    }

    pub(super) fn check_partition(&self, operation: &'static str, partition: &str) -> Result<()> {
        let (size, limit) = (partition.len() as u64, self.limits.partition_bytes);
        if size == 0 {
            return Err(self.explain(operation, Error::invalid("the partition key is empty")));
        }
        if size > limit {
            return Err(self.explain(operation, Error::too_large("the partition key", size, limit)));
        }
        Ok(())
    }
}

/// The first whole millisecond that is not before `time`: services store no finer one.
fn whole_millis(time: SystemTime) -> Option<SystemTime> {
    let whole = from_millis(to_millis(time));
    if whole < time { whole.checked_add(Duration::from_millis(1)) } else { Some(whole) }
}
