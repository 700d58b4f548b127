//! Several writes that happen together.

use std::collections::HashSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Key, PutMode, PutOptions, Table, Version, Write};
use crate::{Access, Error, Result};

/// Writes of one partition, all or nothing; made by [`Table::transact`].
///
/// Up to 100 writes and 2 MB, and each key at most once.
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
    table: Table<T>,
    partition: String,
    writes: Vec<Write>,
    // The first fault of a write; `commit` reports it, so that writes can be chained.
    fault: Option<Error>,
}

impl<T: Serialize + DeserializeOwned + 'static> Transaction<T> {
    pub(super) fn new(table: Table<T>, partition: String) -> Self {
        Self { table, partition, writes: Vec::new(), fault: None }
    }

    /// Writes a value, whatever is there.
    pub fn put(self, sort: impl Into<String>, value: &T) -> Self {
        self.put_with(sort, value, PutMode::Overwrite)
    }

    /// Writes a value under a mode or with a time to live.
    pub fn put_with(mut self, sort: impl Into<String>, value: &T, options: impl Into<PutOptions>) -> Self {
        let key = self.key(sort);
        match self.table.prepare("transact", key, value, options.into()) {
            Ok(put) => self.writes.push(Write::Put(put)),
            Err(error) => self.fault = self.fault.or(Some(error)),
        }
        self
    }

    /// Deletes an item; an absent one does not matter.
    pub fn delete(mut self, sort: impl Into<String>) -> Self {
        let key = self.key(sort);
        self.writes.push(Write::Delete { key, version: None });
        self
    }

    /// Deletes an item if it is still this version.
    pub fn delete_version(mut self, sort: impl Into<String>, version: Version) -> Self {
        let key = self.key(sort);
        self.fault = self.fault.or(version.check().err().map(|error| self.table.resource().explain("transact", error)));
        self.writes.push(Write::Delete { key, version: Some(version) });
        self
    }

    /// Applies all writes or none. Answers in their order: the new version of a put, `None` for a
    /// delete.
    ///
    /// Errors: `AlreadyExists` and `Conflict` as for a single write; `InvalidInput` where a key is
    /// written twice; `TooLarge` past 100 writes or 2 MB.
    pub async fn commit(self) -> Result<Vec<Option<Version>>> {
        let Self { table, partition, writes, fault } = self;
        let resource = table.resource();
        if let Some(fault) = fault {
            return Err(fault);
        }
        super::table::check_partition(resource, "transact", &partition)?;
        for write in &writes {
            super::table::check_key(resource, "transact", write.key())?;
        }
        check_writes(&writes, &resource.limits).map_err(|error| resource.explain("transact", error))?;
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        resource.run("transact", Access::Write, |driver| driver.transact(writes)).await
    }

    fn key(&self, sort: impl Into<String>) -> Key {
        Key::new(self.partition.clone(), sort)
    }
}

fn check_writes(writes: &[Write], limits: &crate::Limits) -> Result<()> {
    let (count, limit) = (writes.len() as u64, limits.transaction_writes);
    if count > limit {
        return Err(Error::too_large("the number of writes in the transaction", count, limit));
    }
    let bytes: usize = writes.iter().map(size).sum();
    if bytes as u64 > limits.transaction_bytes {
        return Err(Error::too_large("the transaction", bytes as u64, limits.transaction_bytes));
    }
    let mut keys = HashSet::new();
    match writes.iter().find(|write| !keys.insert(write.key())) {
        Some(twice) => Err(Error::invalid(format!("the transaction writes `{}` twice", twice.key()))),
        None => Ok(()),
    }
}

fn size(write: &Write) -> usize {
    let value = match write {
        Write::Put(put) => put.value.len(),
        Write::Delete { .. } => 0,
    };
    value + write.key().partition.len() + write.key().sort.len()
}
