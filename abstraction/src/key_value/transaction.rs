//! [`Transaction`]: several writes that are applied together.
//!
//! A transaction is limited to one partition, because Cosmos DB and Table Storage have no other
//! ([Cosmos DB](https://learn.microsoft.com/azure/cosmos-db/nosql/transactional-batch),
//! [Table Storage](https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions)).

use std::collections::HashSet;
use std::marker::PhantomData;

use serde::Serialize;

use super::check::check_sort;
use super::{Key, KeyValue, Put, PutMode, PutOptions, Version, Write};
use crate::access::Access;
use crate::handle::Resource;
use crate::json::escaped_size;
use crate::{Error, Result};

/// Writes of one partition that are applied together or not at all, from [`Table::transact`](super::Table::transact).
///
/// At most 100 writes and 2,000,000 bytes, and each key at most once. The size is that of keys and values in JSON, as
/// Cosmos DB counts it, whose requests are the smallest: text with its escapes, and values that are not text, or contain
/// control characters, in base64. A wrong argument is reported by [`commit`](Self::commit), so the methods can be
/// chained.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::{Cloud, ErrorKind, key_value::PutMode};
/// let accounts = Cloud::memory().table::<u32>("accounts");
/// accounts.transact("ada").put("giro", &70).put("savings", &30).commit().await?;
///
/// let refused = accounts.transact("ada").put("giro", &0).put_with("savings", &100, PutMode::Create);
/// assert_eq!(refused.commit().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
/// assert_eq!(accounts.get(("ada", "giro")).await?, Some(70));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a transaction does nothing until `commit` is awaited"]
pub struct Transaction<T> {
    resource: Resource<dyn KeyValue>,
    value: PhantomData<fn(T)>,
    partition: String,
    writes: Vec<Write>,
    // The first error of an argument; `commit` returns it.
    error: Option<Error>,
}

impl<T> Transaction<T> {
    pub(super) fn new(resource: Resource<dyn KeyValue>, partition: String) -> Self {
        Self { resource, value: PhantomData, partition, writes: Vec::new(), error: None }
    }

    /// Adds a write of a value that replaces a stored one.
    pub fn put(self, sort: impl Into<String>, value: &T) -> Self
    where
        T: Serialize + 'static,
    {
        self.put_with(sort, value, PutMode::Overwrite)
    }

    /// Adds a write of a value with a [condition](PutMode) or a time to live.
    pub fn put_with(self, sort: impl Into<String>, value: &T, options: impl Into<PutOptions>) -> Self
    where
        T: Serialize + 'static,
    {
        let sort = sort.into();
        self.checked(&sort).put_at(sort, value, options.into())
    }

    /// Adds a delete of an item, which may be absent.
    pub fn delete(self, sort: impl Into<String>) -> Self {
        let sort = sort.into();
        self.checked(&sort).delete_at(sort, None)
    }

    /// Adds a delete of an item that must have this version.
    pub fn delete_version(self, sort: impl Into<String>, version: Version) -> Self {
        let sort = sort.into();
        self.checked(&sort).delete_at(sort, Some(version))
    }

    /// Adds an addition of `delta` to a counter, as [`Table::add`](super::Table::add): an absent one counts as 0 and has no
    /// expiry. The sum is exact under any contention.
    ///
    /// Together with the `Create` of an item in the same transaction, an effect is counted once, however often it is
    /// attempted:
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind, key_value::PutMode};
    /// let counts = Cloud::memory().table::<i64>("counts");
    /// for delivery in 1..=2 {
    ///     let counted = counts.transact("page").put_with("seen/m1", &1, PutMode::Create).add("views", 1);
    ///     match counted.commit().await {
    ///         Err(error) if error.kind() == ErrorKind::AlreadyExists => assert_eq!(delivery, 2),
    ///         counted => assert_eq!(counted?.len(), 2),
    ///     }
    /// }
    /// assert_eq!(counts.get(("page", "views")).await?, Some(1));
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn add(self, sort: impl Into<String>, delta: i64) -> Self {
        let sort = sort.into();
        let mut checked = self.checked(&sort);
        checked.writes.push(Write::Add { key: checked.key(sort), delta });
        checked
    }

    /// Applies all writes or none. Returns one result for each write, in their order: the new version of a put or an
    /// add, `None` for a delete. A transaction without writes is `Ok`.
    ///
    /// Errors, after which nothing was written:
    /// - `AlreadyExists` and `Conflict`, as for a single write;
    /// - `InvalidInput` if a key is written twice, if an add finds a value that is not an integer, and if its sum would be
    ///   outside of ±(2⁵³ − 1);
    /// - `TooLarge` for more than 100 writes or 2,000,000 bytes.
    ///
    /// If the response of the service was lost, the adapter repeats the transaction only if that is safe: it contains no
    /// add, or a `Create` or an `Update` that fails if the first request was applied. Otherwise the error has
    /// [`outcome_unknown`](Error::outcome_unknown).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use isobar_abstraction::{Cloud, ErrorKind};
    /// let todos = Cloud::memory().table::<String>("todos");
    /// let version = todos.put(("ada", "open/milk"), &"buy milk".to_owned()).await?;
    /// let done = todos.transact("ada").delete_version("open/milk", version).put("done/milk", &"buy milk".to_owned());
    /// let versions = done.commit().await?;
    /// assert!(versions[0].is_none() && versions[1].is_some());
    ///
    /// let twice = todos.transact("ada").delete("open/milk").delete("open/milk").commit().await.unwrap_err();
    /// assert_eq!(twice.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub async fn commit(self) -> Result<Vec<Option<Version>>> {
        let Self { resource, partition, writes, error, .. } = self;
        if let Some(error) = error {
            return Err(error);
        }
        resource.check_partition("transact", &partition)?;
        for write in &writes {
            resource.check_key("transact", write.key())?;
        }
        check_writes(&writes, &resource.limits).map_err(|error| resource.explain("transact", error))?;
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        resource.run("transact", Access::Write, |driver| driver.transact(writes)).await
    }

    pub(super) fn put_at<V: Serialize + 'static>(mut self, sort: String, value: &V, options: PutOptions) -> Self {
        match self.resource.prepare("transact", self.key(sort), value, options) {
            Ok(put) => self.writes.push(Write::Put(put)),
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    pub(super) fn delete_at(mut self, sort: String, version: Option<Version>) -> Self {
        if let Some(version) = &version {
            self.note(version.check());
        }
        self.writes.push(Write::Delete { key: self.key(sort), version });
        self
    }

    /// Stores the error of a sort key that an app must not use.
    fn checked(mut self, sort: &str) -> Self {
        self.note(check_sort(sort));
        self
    }

    pub(super) fn table(&self) -> &str {
        &self.resource.name
    }

    /// Stores the first error of an argument, for `commit`.
    pub(super) fn note(&mut self, checked: Result<()>) {
        if let Err(error) = checked {
            self.error.get_or_insert(self.resource.explain("transact", error));
        }
    }

    fn key(&self, sort: String) -> Key {
        Key { partition: self.partition.clone(), sort }
    }
}

fn check_writes(writes: &[Write], limits: &crate::profile::Limits) -> Result<()> {
    let (count, limit) = (writes.len() as u64, limits.transaction_writes);
    if count > limit {
        return Err(Error::too_large("the number of writes in the transaction", count, limit));
    }
    let bytes: usize = writes.iter().map(size).sum();
    if bytes as u64 > limits.transaction_bytes {
        return Err(Error::too_large("the transaction, as JSON,", bytes as u64, limits.transaction_bytes));
    }
    let mut keys = HashSet::new();
    match writes.iter().find(|write| !keys.insert(write.key())) {
        Some(twice) => Err(Error::invalid_input(format!("the transaction writes `{}` twice", twice.key()))),
        None => Ok(()),
    }
}

/// The size of a put in a request, in bytes: that of its key and value in JSON, in the longest form of the services.
pub fn put_size(put: &Put) -> usize {
    value_size(&put.value) + key_size(&put.key)
}

fn size(write: &Write) -> usize {
    match write {
        Write::Put(put) => put_size(put),
        Write::Delete { key, .. } | Write::Add { key, .. } => key_size(key),
    }
}

fn key_size(Key { partition, sort }: &Key) -> usize {
    // Cosmos DB orders by UTF-16, so the adapter stores each byte of a sort key as a character, of two bytes from 0x80 on.
    let wide = sort.bytes().filter(|byte| !byte.is_ascii()).count();
    // A replacement contains the id, in base64, twice. The rest of a request has space for short ids.
    let ids = (sort.len() * 8 / 3).saturating_sub(700);
    ids + escaped_size(partition.as_bytes()) + escaped_size(sort.as_bytes()) + wide
}

/// The size of a value in JSON. Bytes that are not text, and text with control characters, are stored in base64.
fn value_size(value: &[u8]) -> usize {
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\n\r".contains(byte);
    match std::str::from_utf8(value) {
        Ok(text) if !value.iter().any(is_control) => escaped_size(text.as_bytes()),
        _ => value.len().div_ceil(3) * 4,
    }
}
