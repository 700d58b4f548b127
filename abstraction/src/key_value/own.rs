//! isobar's own items in the tables of an app.
//!
//! A crate of isobar that stores a state next to the items of an app, for example the steps of a workflow, can write both
//! in one transaction. A table of its own could not be part of that.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::check::own_sort;
use super::{Entry, Key, PutOptions, Table, Transaction, Version};
use crate::{Error, Result};

fn own(key: Key) -> Key {
    Key { sort: own_sort(&key.sort), ..key }
}

/// For crates of isobar: items in a table of an app that the app does not see, with values of type `V`.
///
/// They are in the app's partitions and can be written in one [transaction](Transaction) with the app's items. The
/// [`Table`] of the app neither reads nor writes them; a [driver](super::driver::KeyValue) must store and return them
/// like any other items.
///
/// The sort key of an argument is the part after the prefix U+10FFFF U+10FFFF, at most 504 bytes. A crate must begin it
/// with its name.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use isobar_abstraction::driver::key_value::{OwnItems, PutMode};
/// use isobar_abstraction::Cloud;
/// let orders = Cloud::memory().table::<String>("orders");
/// let steps = OwnItems::<u32>::of(&orders);
///
/// let step = steps.put_in(orders.transact("order-7").put("state", &"paid".to_owned()), "flow/step", &3, PutMode::Create);
/// step.commit().await?;
///
/// assert_eq!(steps.entry(("order-7", "flow/step")).await?.unwrap().value, 3);
/// assert_eq!(orders.query("order-7").all().await?.len(), 1);
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct OwnItems<V>(Table<V>);

impl<V> Clone for OwnItems<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> OwnItems<V> {
    /// The own items in this table, with the access of the handle.
    pub fn of<T>(table: &Table<T>) -> Self {
        Self(table.of_values())
    }

    /// The value at `key` with its version and expiry; `None` if it is absent.
    ///
    /// Errors: `InvalidInput` if the stored value is not a `V`.
    pub async fn entry(&self, key: impl Into<Key>) -> Result<Option<Entry<V>>>
    where
        V: DeserializeOwned + 'static,
    {
        let key = key.into();
        let entry = self.0.entry_at("get", own(key.clone())).await?;
        Ok(entry.map(|entry| Entry { key, ..entry }))
    }

    /// Writes a value with a [condition](super::PutMode) or a time to live. Errors: those of [`Table::put_with`].
    pub async fn put_with(&self, key: impl Into<Key>, value: &V, options: impl Into<PutOptions>) -> Result<Version>
    where
        V: Serialize + 'static,
    {
        self.0.put_at(own(key.into()), value, options.into()).await
    }

    /// Deletes an item; `Ok` if it is absent.
    pub async fn delete(&self, key: impl Into<Key>) -> Result<()> {
        self.0.delete_at("delete", own(key.into()), None).await
    }

    /// Deletes an item if it has this version. Errors: `Conflict`, also if it is absent.
    pub async fn delete_version(&self, key: impl Into<Key>, version: &Version) -> Result<()> {
        self.0.delete_at("delete_version", own(key.into()), Some(version)).await
    }

    /// Adds a put to a transaction of the same table. For a transaction of another table its commit is `Internal`.
    pub fn put_in<T>(
        &self,
        transaction: Transaction<T>,
        sort: &str,
        value: &V,
        options: impl Into<PutOptions>,
    ) -> Transaction<T>
    where
        V: Serialize + 'static,
    {
        self.checked(transaction).put_at(own_sort(sort), value, options.into())
    }

    /// Adds a delete to a transaction of the same table, with or without an expected version. Errors: as
    /// [`put_in`](Self::put_in).
    pub fn delete_in<T>(&self, transaction: Transaction<T>, sort: &str, version: Option<Version>) -> Transaction<T> {
        self.checked(transaction).delete_at(own_sort(sort), version)
    }

    fn checked<T>(&self, mut transaction: Transaction<T>) -> Transaction<T> {
        let (own, table) = (self.0.name(), transaction.table());
        if own != table {
            let message = format!("the transaction is for table `{table}`, and the items are in `{own}`");
            transaction.note(Err(Error::internal(message)));
        }
        transaction
    }
}
