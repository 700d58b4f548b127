//! Checks of keys and values before a driver receives them, and the checks of writes that drivers share.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Item, Key, KeyValue, Put, PutMode, PutOptions, Write, with_sums};
use crate::clock::{from_millis, to_millis};
use crate::handle::Resource;
use crate::{Error, Result, json};

/// The prefix of the sort keys of isobar's own items. These are the last characters of Unicode, so the items are the last
/// ones of their partition, and a query excludes them by its upper bound.
pub(super) const OWN: &str = "\u{10FFFF}\u{10FFFF}";

pub(super) fn own_sort(sort: &str) -> String {
    format!("{OWN}{sort}")
}

pub(crate) fn is_own(sort: &str) -> bool {
    sort.starts_with(OWN)
}

/// Checks the sort key of an app. Errors: `InvalidInput` for one that begins like those of isobar's own items.
pub(super) fn check_sort(sort: &str) -> Result<()> {
    match is_own(sort) {
        true => Err(Error::invalid_input(
            "sort keys that begin with U+10FFFF U+10FFFF are isobar's own; use another sort key",
        )),
        false => Ok(()),
    }
}

impl Resource<dyn KeyValue> {
    /// Checks the arguments of a put, and converts them to the driver's form.
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
        // RFC 3339 cannot express a later year, and the consoles of the clouds use it.
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

/// The first whole millisecond at or after `time`: services store no finer times.
fn whole_millis(time: SystemTime) -> Option<SystemTime> {
    let whole = from_millis(to_millis(time));
    if whole < time { whole.checked_add(Duration::from_millis(1)) } else { Some(whole) }
}

/// For drivers that lock the stored items during a transaction: checks the conditions of all writes, and converts each
/// addition to the put of its sum. `stored` returns the item at a key that has not expired.
///
/// Errors: those of [`with_sums`]; `AlreadyExists` and `Conflict` for the first write whose condition is not met.
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
    let expected = match write {
        // An add is the put of its sum here.
        Write::Put(Put { mode: PutMode::Overwrite, .. }) | Write::Delete { version: None, .. } | Write::Add { .. } => {
            return Ok(());
        }
        Write::Put(Put { mode: PutMode::Create, .. }) => None,
        Write::Put(Put { mode: PutMode::Update(version), .. }) | Write::Delete { version: Some(version), .. } => {
            Some(version)
        }
    };
    let key = write.key();
    match (expected, stored(key)?) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Error::already_exists(format!("there is an item at `{key}`"))),
        (Some(expected), Some(stored)) if *expected == stored.version => Ok(()),
        (Some(_), Some(_)) => Err(Error::conflict(format!("the item at `{key}` was written since"))),
        (Some(_), None) => Err(Error::conflict(format!("the item at `{key}` is gone"))),
    }
}
