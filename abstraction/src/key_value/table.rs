//! [`Table`]: the key-value type for apps.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::check::check_sort;
use super::{Entry, Key, KeyValue, PutMode, PutOptions, Query, ScanQuery, Transaction, Version};
use crate::access::Access;
use crate::handle::Resource;
use crate::{Error, ErrorKind, Origin, Result};

/// A key-value table of values of type `T`. Cheap to clone.
///
/// Values are JSON by serde; if `T` is [`Bytes`](bytes::Bytes), the bytes are stored without change. A key is a partition
/// and a sort key: see [`Key`].
///
/// | | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | service | redb file | DynamoDB | Cosmos DB or Table Storage | Firestore |
/// | largest item of the service, with keys | 390,000 bytes | 409,509 | 1,500,000 | 1,040,380 |
///
/// Guarantees on every provider: a value is returned bit for bit; a process reads its own earlier writes; a write is
/// stored durably when its method returns, and is never applied in part, also if the caller drops the future; an expired
/// item is never returned. Portable limits: partition 256 bytes, sort key 512, item with keys 390,000.
///
/// Errors that each method can return: `PermissionDenied` if the handle or the deployment lacks the access, `NotFound` if
/// the table does not exist, `TooLarge` and `InvalidInput` for keys outside of the limits, `Throttled`, `Unavailable` and
/// `Timeout` after the retries of the adapter. A failed write whose [outcome is unknown](Error::outcome_unknown) may have
/// been applied.
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

/// The attempts of [`Table::update`] and [`Table::modify`].
const UPDATE_ATTEMPTS: u32 = 100;

impl<T> Table<T> {
    pub(crate) fn new(resource: Resource<dyn KeyValue>) -> Self {
        Self { resource, value: PhantomData }
    }

    /// The logical name of the table.
    ///
    /// ```
    /// use isobar_abstraction::Cloud;
    /// assert_eq!(Cloud::memory().table::<u32>("ages").name(), "ages");
    /// ```
    pub fn name(&self) -> &str {
        &self.resource.name
    }

    /// Reduces the access of the handle to reading, also in the declaration of the app: a deployment then grants no more.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    /// let ages = Cloud::memory().table::<u32>("ages").read_only();
    /// assert_eq!(ages.get("ada").await?, None);
    /// assert_eq!(ages.put("ada", &36).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn read_only(self) -> Self {
        Self::new(self.resource.with_access(Access::Read))
    }

    /// Reduces the access of the handle to writing, also in the declaration of the app. [`update`](Self::update) and
    /// [`modify`](Self::modify) need both.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    /// let ages = Cloud::memory().table::<u32>("ages").write_only();
    /// ages.put("ada", &36).await?;
    /// assert_eq!(ages.get("ada").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn write_only(self) -> Self {
        Self::new(self.resource.with_access(Access::Write))
    }

    /// Deletes an item; `Ok` if it is absent.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let notes = Cloud::memory().table::<String>("notes");
    /// notes.put("tea", &"green".to_owned()).await?;
    /// notes.delete("tea").await?;
    /// notes.delete("tea").await?;
    /// assert_eq!(notes.get("tea").await?, None);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn delete(&self, key: impl Into<Key>) -> Result<()> {
        let key = self.checked("delete", key.into())?;
        self.delete_at("delete", key, None).await
    }

    /// Deletes an item if it has this version. Errors: `Conflict` for another version, and if the item is absent.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::{Cloud, ErrorKind};
    /// let notes = Cloud::memory().table::<String>("notes");
    /// let old = notes.put("tea", &"green".to_owned()).await?;
    /// let new = notes.put("tea", &"black".to_owned()).await?;
    /// assert_eq!(notes.delete_version("tea", &old).await.unwrap_err().kind(), ErrorKind::Conflict);
    /// notes.delete_version("tea", &new).await?;
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn delete_version(&self, key: impl Into<Key>, version: &Version) -> Result<()> {
        let key = self.checked("delete_version", key.into())?;
        self.delete_at("delete_version", key, Some(version)).await
    }

    /// Adds `delta` to a counter atomically and returns the sum; an absent counter counts as 0 and has no expiry.
    ///
    /// A counter is an item whose value is an integer, such as one of `Table<i64>`, however it was written. The sum is
    /// exact under any contention, and the counter keeps its expiry. The range is ±(2⁵³ − 1), that of integers in JSON.
    ///
    /// Errors: `InvalidInput` if the value is not an integer, or if the sum would be out of range; the item does not change
    /// then. An `add` whose outcome is unknown must not be repeated without a check: see
    /// [`Transaction::add`](Transaction::add) for an addition that is counted once.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let visits = Cloud::memory().table::<i64>("visits");
    /// assert_eq!(visits.add("home", 2).await?, 2);
    /// assert_eq!(visits.add("home", -3).await?, -1);
    /// assert_eq!(visits.get("home").await?, Some(-1));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn add(&self, key: impl Into<Key>, delta: i64) -> Result<i64> {
        let key = self.checked("add", key.into())?;
        self.resource.check_key("add", &key)?;
        self.resource.run("add", Access::Write, |driver| driver.add(&key, delta)).await
    }

    /// Starts a query of one partition, whose items are ordered by sort key: see [`Query`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let notes = Cloud::memory().table::<u32>("notes");
    /// for (sort, value) in [("2026-02-01", 3), ("2026-01-01", 1), ("2026-01-31", 2)] {
    ///     notes.put(("ada", sort), &value).await?;
    /// }
    /// let january = notes.query("ada").range("2026-01".."2026-02").all().await?;
    /// assert_eq!(january.iter().map(|entry| entry.value).collect::<Vec<_>>(), [1, 2]);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn query(&self, partition: impl Into<String>) -> Query<T> {
        Query::new(self.resource.clone(), partition.into())
    }

    /// Starts a scan of all items, in no order: see [`ScanQuery`]. It reads the whole table.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let notes = Cloud::memory().table::<u32>("notes");
    /// notes.put("ada", &1).await?;
    /// notes.put("grace", &2).await?;
    /// assert_eq!(notes.scan().all().await?.len(), 2);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn scan(&self) -> ScanQuery<T> {
        ScanQuery::new(self.resource.clone())
    }

    /// Starts a transaction: several writes of one partition that are applied together or not at all: see [`Transaction`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let accounts = Cloud::memory().table::<i64>("accounts");
    /// accounts.transact("ada").add("giro", -10).add("savings", 10).commit().await?;
    /// assert_eq!(accounts.get(("ada", "savings")).await?, Some(10));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn transact(&self, partition: impl Into<String>) -> Transaction<T> {
        Transaction::new(self.resource.clone(), partition.into())
    }

    pub(crate) fn resource(&self) -> &Resource<dyn KeyValue> {
        &self.resource
    }

    /// The same table with another type of values.
    pub(super) fn of_values<V>(&self) -> Table<V> {
        Table::new(self.resource.clone())
    }

    /// Checks that an app may use the key.
    pub(super) fn checked(&self, operation: &'static str, key: Key) -> Result<Key> {
        check_sort(&key.sort).map_err(|error| self.resource.explain(operation, error))?;
        Ok(key)
    }

    pub(super) async fn delete_at(&self, operation: &'static str, key: Key, version: Option<&Version>) -> Result<()> {
        self.resource.check_key(operation, &key)?;
        if let Some(version) = version {
            version.check().map_err(|error| self.resource.explain(operation, error))?;
        }
        self.resource.run(operation, Access::Write, |driver| driver.delete(&key, version)).await
    }
}

impl<T: DeserializeOwned + 'static> Table<T> {
    /// The value at `key`; `None` if it is absent or expired.
    ///
    /// Errors: `InvalidInput` if the stored value is not a `T`. Over HTTP that is a 500, because the client is not the cause.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let notes = Cloud::memory().table::<String>("notes");
    /// notes.put(("ada", "tea"), &"green".to_owned()).await?;
    /// assert_eq!(notes.get(("ada", "tea")).await?.as_deref(), Some("green"));
    /// assert_eq!(notes.get("ada").await?, None);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get(&self, key: impl Into<Key>) -> Result<Option<T>> {
        Ok(self.entry_at("get", self.checked("get", key.into())?).await?.map(|entry| entry.value))
    }

    /// The value at `key` with its version and expiry; `None` if it is absent or expired. Errors: those of [`get`](Self::get).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let notes = Cloud::memory().table::<String>("notes");
    /// let version = notes.put("tea", &"green".to_owned()).await?;
    /// let entry = notes.get_entry("tea").await?.unwrap();
    /// assert_eq!((entry.value.as_str(), entry.version, entry.expires_at), ("green", version, None));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get_entry(&self, key: impl Into<Key>) -> Result<Option<Entry<T>>> {
        self.entry_at("get_entry", self.checked("get_entry", key.into())?).await
    }

    pub(super) async fn entry_at(&self, operation: &'static str, key: Key) -> Result<Option<Entry<T>>> {
        self.resource.check_key(operation, &key)?;
        let item = self.resource.run(operation, Access::Read, |driver| driver.get(&key)).await?;
        item.map(Entry::decode).transpose().map_err(|error| self.resource.explain(operation, error))
    }

    /// The values at `keys`, in the order of the keys, `None` for an absent one. Any number of keys: the adapter makes as many
    /// requests as its service needs. The reads are not one snapshot.
    ///
    /// Errors: `InvalidInput` with the key if a value is not a `T`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let ages = Cloud::memory().table::<u32>("ages");
    /// ages.put("ada", &36).await?;
    /// assert_eq!(ages.get_many(["grace", "ada"]).await?, [None, Some(36)]);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn get_many<K: Into<Key>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<T>>> {
        let keys = keys.into_iter().map(|key| self.checked("get_many", key.into()));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        keys.iter().try_for_each(|key| self.resource.check_key("get_many", key))?;
        let items = self.resource.run("get_many", Access::Read, |driver| driver.get_many(&keys)).await?;
        if items.len() != keys.len() {
            let message = format!(
                "bug in isobar: the driver returned {} items for {} keys; please report it",
                items.len(),
                keys.len()
            );
            return Err(self.resource.explain("get_many", Error::internal(message).of_driver()));
        }
        let value = |item: Option<_>| Ok(item.map(Entry::decode).transpose()?.map(|entry: Entry<T>| entry.value));
        let values = items.into_iter().map(value).collect::<Result<_>>();
        values.map_err(|error| self.resource.explain("get_many", error))
    }
}

impl<T: Serialize + 'static> Table<T> {
    /// Writes a value and replaces a stored one; the item has no expiry. Returns the new version.
    ///
    /// Errors: those of [`put_with`](Self::put_with).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::Cloud;
    /// let ages = Cloud::memory().table::<u32>("ages");
    /// let first = ages.put("ada", &36).await?;
    /// let second = ages.put("ada", &36).await?;
    /// assert_ne!(first, second);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn put(&self, key: impl Into<Key>, value: &T) -> Result<Version> {
        self.put_with(key, value, PutMode::Overwrite).await
    }

    /// Writes a value with a [condition](PutMode) or a time to live. Returns the new version.
    ///
    /// Errors: `AlreadyExists` for `Create`, `Conflict` for `Update`; `TooLarge` for keys and value over 390,000 bytes
    /// together; `InvalidInput` for a value that JSON cannot represent, such as a float that is not a number, for one that
    /// is nested deeper than 127 levels, and for a time to live of zero. Nothing is written then.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::{Cloud, ErrorKind, key_value::{PutMode, PutOptions}};
    /// use std::time::Duration;
    /// let sessions = Cloud::memory().table::<String>("sessions");
    /// let one_hour = PutOptions::from(PutMode::Create).with_ttl(Duration::from_secs(3_600));
    /// sessions.put_with("s1", &"ada".to_owned(), one_hour).await?;
    /// let taken = sessions.put_with("s1", &"eve".to_owned(), PutMode::Create).await;
    /// assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn put_with(&self, key: impl Into<Key>, value: &T, options: impl Into<PutOptions>) -> Result<Version> {
        self.put_at(self.checked("put", key.into())?, value, options.into()).await
    }

    pub(super) async fn put_at(&self, key: Key, value: &T, options: PutOptions) -> Result<Version> {
        let put = self.resource.prepare("put", key, value, options)?;
        self.resource.run("put", Access::Write, |driver| driver.put(put)).await
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Table<T> {
    /// Reads a value, changes it and writes it back, again if another writer was faster. Returns the written value. The item
    /// keeps its expiry.
    ///
    /// `change` receives `None` for an absent item. It may run many times, so it must have no other effect. The handle needs
    /// access to read and to write. For a number, [`add`](Self::add) is one request and never loses a race.
    ///
    /// Errors: `Conflict` after 100 lost races, which is an error of the service: 503 over HTTP.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let tags = Cloud::memory().table::<Vec<String>>("tags");
    /// let add = |tags: Option<Vec<String>>| [tags.unwrap_or_default(), vec!["new".to_owned()]].concat();
    /// tags.update("post", add).await?;
    /// assert_eq!(tags.update("post", add).await?, ["new", "new"]);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn update(&self, key: impl Into<Key>, mut change: impl FnMut(Option<T>) -> T) -> Result<T> {
        let written = self.change("update", key.into(), |value| Ok::<_, Error>(Some(change(value)))).await?;
        written.ok_or_else(|| Error::internal("bug in isobar: an update wrote nothing; please report it"))
    }

    /// Changes the value at `key` as [`update`](Self::update) does, unless it is absent or `change` returns an `Err`.
    /// Returns the written value; `None` if the item is absent.
    ///
    /// `change` may run many times. Its `Err` is returned without change, and nothing is written. Other errors: those of
    /// [`update`](Self::update).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::{Cloud, Error, ErrorKind};
    /// let stock = Cloud::memory().table::<u32>("stock");
    /// stock.put("tea", &1).await?;
    /// let take = |left: u32| left.checked_sub(1).ok_or_else(|| Error::conflict("sold out"));
    /// assert_eq!(stock.modify("tea", take).await?, Some(0));
    /// assert_eq!(stock.modify("tea", take).await.unwrap_err().message(), "sold out");
    /// assert_eq!(stock.modify("coffee", take).await?, None);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn modify<E: From<Error>>(
        &self,
        key: impl Into<Key>,
        mut change: impl FnMut(T) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        self.change("modify", key.into(), |value| value.map(&mut change).transpose()).await
    }

    /// Reads, changes and writes until no other writer was faster. If `change` returns `None`, nothing is written.
    async fn change<E: From<Error>>(
        &self,
        operation: &'static str,
        key: Key,
        mut change: impl FnMut(Option<T>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let mut lost = None;
        for attempt in 0..UPDATE_ATTEMPTS {
            let (value, mode, expires_at) =
                match self.entry_at(operation, self.checked(operation, key.clone())?).await? {
                    Some(entry) => (Some(entry.value), PutMode::Update(entry.version), entry.expires_at),
                    None => (None, PutMode::Create, None),
                };
            let Some(value) = change(value)? else { return Ok(None) };
            let mut put = self.resource.prepare(operation, key.clone(), &value, mode.into())?;
            put.expires_at = expires_at;
            match self.resource.run(operation, Access::ReadWrite, |driver| driver.put(put)).await {
                Ok(_) => return Ok(Some(value)),
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => {
                    lost = Some(error);
                    self.resource.clock.pause(jitter(attempt)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let error =
            Error::conflict(format!("lost {UPDATE_ATTEMPTS} races for this item; use `add`, or spread the key"));
        // The caller passed no version: the cause is the load on the item.
        let error = self.resource.explain(operation, error.with_origin(Origin::Service));
        Err(match lost {
            Some(last) => error.with_source(last).into(),
            None => error.into(),
        })
    }
}

/// A random wait from zero to an exponential bound: 1 ms, doubling up to 64 ms.
fn jitter(attempt: u32) -> Duration {
    Duration::from_micros(fastrand::u64(0..=1_000 << attempt.min(6)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::{Cloud, ErrorKind, Origin};

    #[tokio::test]
    async fn an_update_that_loses_every_race_is_an_error_of_the_service() {
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
