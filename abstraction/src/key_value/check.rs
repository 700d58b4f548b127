//! What is checked of keys and values before a driver gets them, and of writes where drivers check alike.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Item, Key, KeyValue, Put, PutMode, PutOptions, Write, with_sums};
use crate::clock::{from_millis, to_millis};
use crate::handle::Resource;
use crate::{Error, Result, json};

/// What the sort keys of isobar's own items begin with: the last characters of all, so that they are the last items of
/// a partition.
pub(super) const OWN: &str = "\u{10FFFF}\u{10FFFF}";

pub(super) fn own_sort(sort: &str) -> String {
    format!("{OWN}{sort}")
}

pub(super) fn is_own(sort: &str) -> bool {
    sort.starts_with(OWN)
}

/// Errors: `InvalidInput` for a sort key that no app can use.
pub(super) fn check_sort(sort: &str) -> Result<()> {
    match is_own(sort) {
        true => {
            Err(Error::invalid_input("sort keys that begin with U+10FFFF U+10FFFF are isobar's own; use another one"))
        }
        false => Ok(()),
    }
}

impl Resource<dyn KeyValue> {
    /// Makes of a put what a driver takes.
    pub(super) fn prepare<T: Serialize + 'static>(
        &self,
        operation: &'static str,
        key: Key,
        value: &T,
        options: PutOptions,
    ) -> Result<Put> {
        let explain = |error| self.explain(operation, error);
        self.check_key(operation, &key)?;
        let value = json::encode(value).map_err(explain)?;
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
            .ok_or_else(|| Error::invalid_input("a time to live must be more than zero and end before the year 10000"))
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
            return Err(self.explain(operation, Error::invalid_input("the partition key is empty")));
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

/// The writes of a transaction, each addition as the put of its sum, for a driver that holds what is stored still
/// meanwhile. `stored` finds the live item at a key.
///
/// Errors: those of [`with_sums`]; `AlreadyExists` and `Conflict` for the first write that is not
/// allowed on what is stored.
pub fn checked_writes<'a>(
    writes: &'a [Write],
    limit: i64,
    stored: impl Fn(&Key) -> Result<Option<Item>>,
) -> Result<Vec<Cow<'a, Write>>> {
    let writes = with_sums(writes, limit, &stored)?;
    writes.iter().try_for_each(|write| check_write(write, &stored))?;
    Ok(writes)
}

fn check_write(write: &Write, stored: impl Fn(&Key) -> Result<Option<Item>>) -> Result<()> {
    let wanted = match write {
        // An add has become the put of its sum before.
        Write::Put(Put { mode: PutMode::Overwrite, .. }) | Write::Delete { version: None, .. } | Write::Add { .. } => {
            return Ok(());
        }
        Write::Put(Put { mode: PutMode::Create, .. }) => None,
        Write::Put(Put { mode: PutMode::Update(version), .. }) | Write::Delete { version: Some(version), .. } => {
            Some(version)
        }
    };
    let key = write.key();
    match (wanted, stored(key)?) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Error::already_exists(format!("there is an item at `{key}`"))),
        (Some(wanted), Some(stored)) if *wanted == stored.version => Ok(()),
        (Some(_), Some(_)) => Err(Error::conflict(format!("the item at `{key}` was written since"))),
        (Some(_), None) => Err(Error::conflict(format!("the item at `{key}` is gone"))),
    }
}
