//! Families of redb tables: one redb table for each table or bucket of the app, so that the number
//! of entries of each is known without counting.

use std::marker::PhantomData;

use isobar_abstraction::Result;
use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTableMetadata, Table, TableDefinition, TableError, TableHandle, Value,
    WriteTransaction,
};

use crate::store::{Store, failed};

/// The redb tables of one kind, with a common prefix. Each is created at its first write.
#[derive(Debug)]
pub(crate) struct Family<K, V> {
    prefix: &'static str,
    types: PhantomData<fn(K, V)>,
}

impl<K: Key + 'static, V: Value + 'static> Family<K, V> {
    pub(crate) const fn new(prefix: &'static str) -> Self {
        Self { prefix, types: PhantomData }
    }

    /// The redb name of a member.
    pub(crate) fn member(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Opens a member for reading; `None` where nothing was written to it yet.
    pub(crate) fn open(&self, transaction: &ReadTransaction, member: &str) -> Result<Option<ReadOnlyTable<K, V>>> {
        open(transaction, TableDefinition::new(member))
    }

    /// Opens a member for writing, and creates it if it is missing.
    pub(crate) fn open_in<'t>(&self, transaction: &'t WriteTransaction, member: &str) -> Result<Table<'t, K, V>> {
        transaction.open_table(TableDefinition::new(member)).map_err(failed)
    }

    /// All members of the family, by the names that the app uses.
    pub(crate) fn names(&self, transaction: &ReadTransaction) -> Result<Vec<String>> {
        let tables = transaction.list_tables().map_err(failed)?;
        Ok(tables.filter_map(|table| table.name().strip_prefix(self.prefix).map(str::to_owned)).collect())
    }

    /// The names of all members with their numbers of entries.
    pub(crate) fn counts(&self, store: &Store) -> Result<Vec<(String, u64)>> {
        let transaction = store.read()?;
        let count = |name: String| {
            let table = self.open(&transaction, &self.member(&name))?;
            let count = table.map_or(Ok(0), |table| table.len()).map_err(failed)?;
            Ok((name, count))
        };
        self.names(&transaction)?.into_iter().map(count).collect()
    }
}

/// Opens a table for reading; `None` where nothing was written to it yet.
pub(crate) fn open<K: Key + 'static, V: Value + 'static>(
    transaction: &ReadTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>> {
    match transaction.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
