//! The key-value type that apps hold.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Entry, Key, KeyValue, PutMode, PutOptions, Query, ScanQuery, Transaction, Version};
use crate::access::Access;
use crate::handle::Resource;
use crate::{Error, ErrorKind, Origin, Result};

/// A key-value table of values of type `T`. Cheap to clone.
///
/// Values are JSON by serde; where `T` is [`Bytes`](bytes::Bytes), they are the bytes as they are.
///
/// | service | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | behind it | redb file | DynamoDB | Cosmos DB or Table Storage | Firestore |
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{Cloud, ErrorKind};
/// use isobar_abstraction::key_value::PutMode;
///
/// let notes = Cloud::memory().table::<String>("notes");
/// notes.put(("ada", "2026-01-02"), &"second".to_owned()).await?;
/// notes.put(("ada", "2026-01-01"), &"first".to_owned()).await?;
///
/// let page = notes.query("ada").prefix("2026-").descending().limit(1).page().await?;
/// assert_eq!(page.items[0].value, "second");
///
/// let taken = notes.put_with(("ada", "2026-01-01"), &"x".to_owned(), PutMode::Create).await;
/// assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Table<T> {
    resource: Resource<dyn KeyValue>,
    value: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { resource: self.resource.clone(), value: PhantomData }
    }
}

/// Tries of [`Table::update`] before it gives up.
const UPDATE_TRIES: u32 = 100;

impl<T> Table<T> {
    pub(crate) fn new(resource: Resource<dyn KeyValue>) -> Self {
        Self { resource, value: PhantomData }
    }

    /// The logical name.
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// A handle that can only read, and declares no more than that.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self::new(self.resource.narrow(Access::Read))
    }

    /// A handle that can only write, and declares no more than that.
    #[must_use]
    pub fn write_only(self) -> Self {
        Self::new(self.resource.narrow(Access::Write))
    }

    /// Deletes an item. An absent one is `Ok`.
    pub async fn delete(&self, key: impl Into<Key>) -> Result<()> {
        let key = self.checked("delete", key.into())?;
        self.resource.run("delete", Access::Write, |driver| driver.delete(&key, None)).await
    }

    /// Deletes an item if it is still this version. Errors: `Conflict`, also where it is absent.
    pub async fn delete_version(&self, key: impl Into<Key>, version: &Version) -> Result<()> {
        let key = self.checked("delete_version", key.into())?;
        version.check().map_err(|error| self.resource.explain("delete_version", error))?;
        self.resource.run("delete_version", Access::Write, |driver| driver.delete(&key, Some(version))).await
    }

    /// Adds `delta` to a counter atomically and returns the sum; an absent counter is 0.
    ///
    /// A counter reads as a number: `Table<i64>` decodes it. Exact under any contention. A counter
    /// stays within ±(2⁵³ − 1). Errors: `InvalidInput` where the item holds something else, or the
    /// sum would pass that limit; nothing is changed then.
    pub async fn add(&self, key: impl Into<Key>, delta: i64) -> Result<i64> {
        let key = self.checked("add", key.into())?;
        self.resource.run("add", Access::Write, |driver| driver.add(&key, delta)).await
    }

    fn checked(&self, operation: &'static str, key: Key) -> Result<Key> {
        self.resource.check_key(operation, &key)?;
        Ok(key)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Table<T> {
    /// The value at `key`. Errors: `InvalidInput` where what is stored is not a `T`.
    pub async fn get(&self, key: impl Into<Key>) -> Result<Option<T>> {
        Ok(self.entry(key).await?.map(|entry| entry.value))
    }

    /// The value at `key` with its version and expiry.
    pub async fn entry(&self, key: impl Into<Key>) -> Result<Option<Entry<T>>> {
        let key = self.checked("get", key.into())?;
        let item = self.resource.run("get", Access::Read, |driver| driver.get(&key)).await?;
        item.map(Entry::decode).transpose().map_err(|error| self.resource.explain("get", error))
    }

    /// The values at `keys`, in the order asked, `None` for a missing one. Any number of keys.
    ///
    /// Errors: `InvalidInput`, naming the key, where a value is not a `T`.
    pub async fn get_many<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<T>>> {
        let keys = keys.into_iter().map(|key| self.checked("get_many", key.into()));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let items = self.resource.run("get_many", Access::Read, |driver| driver.get_many(&keys)).await?;
        if items.len() != keys.len() {
            let message = format!("the driver answered {} of {} keys", items.len(), keys.len());
            return Err(self.resource.explain("get_many", Error::internal(message).of_driver()));
        }
        let value = |item: Option<_>| Ok(item.map(Entry::decode).transpose()?.map(|entry: Entry<T>| entry.value));
        let values = items.into_iter().map(value).collect::<Result<_>>();
        values.map_err(|error| self.resource.explain("get_many", error))
    }

    /// Writes a value, whatever is there. Returns the new version.
    pub async fn put(&self, key: impl Into<Key>, value: &T) -> Result<Version> {
        self.put_with(key, value, PutMode::Overwrite).await
    }

    /// Writes a value under a [mode](PutMode) or with a time to live.
    ///
    /// Errors: `AlreadyExists`, `Conflict`, `TooLarge`; `InvalidInput` for a value that could not be
    /// read back, such as a float that is not a number.
    pub async fn put_with(&self, key: impl Into<Key>, value: &T, options: impl Into<PutOptions>) -> Result<Version> {
        let put = self.resource.prepare("put", key.into(), value, options.into())?;
        self.resource.run("put", Access::Write, |driver| driver.put(put)).await
    }

    /// The items of one partition, in order of their sort keys.
    pub fn query(&self, partition: impl Into<String>) -> Query<T> {
        Query::new(self.resource.clone(), partition.into())
    }

    /// All items, in no order, at the cost of reading all of them.
    pub fn scan(&self) -> ScanQuery<T> {
        ScanQuery::new(self.resource.clone())
    }

    /// Several writes of one partition that happen together or not at all.
    pub fn transact(&self, partition: impl Into<String>) -> Transaction<T> {
        Transaction::new(self.resource.clone(), partition.into())
    }

    /// Reads a value, changes it and writes it back, and does so again when somebody else was
    /// faster. Returns what was written. The expiry stays as it is.
    ///
    /// `change` may run many times. Errors: `Conflict` after 100 lost races.
    pub async fn update(&self, key: impl Into<Key>, mut change: impl FnMut(Option<T>) -> T) -> Result<T> {
        let key = key.into();
        let mut lost = None;
        for attempt in 0..UPDATE_TRIES {
            let entry = self.entry(key.clone()).await?;
            let (value, mode, expires_at) = match entry {
                Some(entry) => (Some(entry.value), PutMode::Update(entry.version), entry.expires_at),
                None => (None, PutMode::Create, None),
            };
            let value = change(value);
            let mut put = self.resource.prepare("update", key.clone(), &value, mode.into())?;
            put.expires_at = expires_at;
            match self.resource.run("update", Access::ReadWrite, |driver| driver.put(put)).await {
                Ok(_) => return Ok(value),
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => {
                    lost = Some(error);
                    self.resource.clock.pause(jitter(attempt)).await;
                }
                Err(error) => return Err(error),
            }
        }
        let error = Error::conflict(format!("lost {UPDATE_TRIES} races for this item; use `add`, or spread the key"));
        // No version that the caller knows was lost to others: the item is in too much use.
        let error = self.resource.explain("update", error.with_origin(Origin::Service));
        Err(match lost {
            Some(last) => error.with_source(last),
            None => error,
        })
    }
}

/// Full jitter under an exponential bound: 1 ms doubling to 64 ms.
fn jitter(attempt: u32) -> Duration {
    Duration::from_micros(fastrand::u64(0..=1_000 << attempt.min(6)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::{Cloud, ErrorKind, Origin};

    #[tokio::test]
    async fn an_update_that_loses_every_race_is_a_fault_of_the_service() {
        let table = Cloud::memory().table::<u32>("counters");
        let faster = table.clone();
        let update = table.update("a", |_| {
            faster.put("a", &1).now_or_never().unwrap().unwrap();
            2
        });
        let lost = update.await.unwrap_err();
        assert_eq!((lost.kind(), lost.origin()), (ErrorKind::Conflict, Origin::Service));
    }
}
