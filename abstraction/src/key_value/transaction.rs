//! Several writes that happen together.

use std::collections::HashSet;
use std::marker::PhantomData;

use serde::Serialize;

use super::check::check_sort;
use super::{Key, KeyValue, PutMode, PutOptions, Version, Write};
use crate::access::Access;
use crate::handle::Resource;
use crate::json::escaped_size;
use crate::{Error, Result};

/// Writes of one partition, all or nothing; made by [`Table::transact`](super::Table::transact).
///
/// Up to 100 writes and 2,000,000 bytes, and each key at most once. The bytes are those of values and keys
/// in JSON, as Cosmos DB counts them, whose requests are the smallest: text with its escapes, values that
/// are no text, or have control characters, in base64.
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
    // The first fault of a write; `commit` reports it, so that writes can be chained.
    fault: Option<Error>,
}

impl<T> Transaction<T> {
    pub(super) fn new(resource: Resource<dyn KeyValue>, partition: String) -> Self {
        Self { resource, value: PhantomData, partition, writes: Vec::new(), fault: None }
    }

    /// Writes a value, whatever is there.
    pub fn put(self, sort: impl Into<String>, value: &T) -> Self
    where
        T: Serialize + 'static,
    {
        self.put_with(sort, value, PutMode::Overwrite)
    }

    /// Writes a value under a mode or with a time to live.
    pub fn put_with(self, sort: impl Into<String>, value: &T, options: impl Into<PutOptions>) -> Self
    where
        T: Serialize + 'static,
    {
        let sort = sort.into();
        self.checked(&sort).put_at(sort, value, options.into())
    }

    /// Deletes an item; an absent one does not matter.
    pub fn delete(self, sort: impl Into<String>) -> Self {
        let sort = sort.into();
        self.checked(&sort).delete_at(sort, None)
    }

    /// Deletes an item if it is still this version.
    pub fn delete_version(self, sort: impl Into<String>, version: Version) -> Self {
        let sort = sort.into();
        self.checked(&sort).delete_at(sort, Some(version))
    }

    /// Adds `delta` to a counter; an absent one counts as 0 and lives for ever, another keeps its
    /// expiry. Exact under any contention.
    ///
    /// With a `Create` of a mark in the same transaction an effect is counted once, however often it
    /// is tried:
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

    /// Applies all writes or none. Answers in their order: the new version of a put or an add, `None`
    /// for a delete.
    ///
    /// Errors: `AlreadyExists` and `Conflict` as for a single write; `InvalidInput` where a key is
    /// written twice, where an add meets an item that holds no integer, and where its sum would pass
    /// ±(2⁵³ − 1); `TooLarge` past 100 writes or 2,000,000 bytes. After a lost answer the transaction is
    /// sent again only where a `Create` or an `Update` in it makes that harmless, or where nothing is
    /// added; else the error says [`outcome_unknown`](Error::outcome_unknown).
    pub async fn commit(self) -> Result<Vec<Option<Version>>> {
        let Self { resource, partition, writes, fault, .. } = self;
        if let Some(fault) = fault {
            return Err(fault);
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
            Err(error) => self.fault = self.fault.or(Some(error)),
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

    /// Notes a sort key that no app may use.
    fn checked(mut self, sort: &str) -> Self {
        self.note(check_sort(sort));
        self
    }

    pub(super) fn table(&self) -> &str {
        &self.resource.name
    }

    pub(super) fn note(&mut self, checked: Result<()>) {
        if let Err(error) = checked {
            self.fault.get_or_insert(self.resource.explain("transact", error));
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

/// What a write takes in JSON.
fn size(write: &Write) -> usize {
    let value = match write {
        Write::Put(put) => value_size(&put.value),
        Write::Delete { .. } | Write::Add { .. } => 0,
    };
    let Key { partition, sort } = write.key();
    // Cosmos DB orders by UTF-16, so that the bytes of a sort key are stored as characters of two bytes.
    let wide = sort.bytes().filter(|byte| !byte.is_ascii()).count();
    // Its id, in base64, stands twice in a replacement; what is left of a request has room for shorter ones.
    let ids = (sort.len() * 8 / 3).saturating_sub(700);
    value + ids + escaped_size(partition.as_bytes()) + escaped_size(sort.as_bytes()) + wide
}

/// Text that is not readable is stored in base64, like other bytes.
fn value_size(value: &[u8]) -> usize {
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\n\r".contains(byte);
    match std::str::from_utf8(value) {
        Ok(text) if !value.iter().any(is_control) => escaped_size(text.as_bytes()),
        _ => value.len().div_ceil(3) * 4,
    }
}
