//! Not built yet.

use std::sync::Arc;

use async_trait::async_trait;
use isobar_abstraction::key_value::{Item, Items, Key, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::{Error, KeyValue, Result};

use crate::State;
use crate::config::StorageAccount;

/// A table of a storage account.
#[derive(Debug)]
pub(crate) struct TableKeyValue;

impl TableKeyValue {
    pub(crate) fn new(_state: Arc<State>, _account: StorageAccount, _table: String) -> Result<Self> {
        Err(unbuilt())
    }
}

fn unbuilt() -> Error {
    Error::unsupported("open", "azure", "Table Storage is not built yet")
}

#[async_trait]
impl KeyValue for TableKeyValue {
    async fn get(&self, _: &Key) -> Result<Option<Item>> {
        Err(unbuilt())
    }

    async fn get_many(&self, _: &[Key]) -> Result<Vec<Option<Item>>> {
        Err(unbuilt())
    }

    async fn put(&self, _: Put) -> Result<Version> {
        Err(unbuilt())
    }

    async fn delete(&self, _: &Key, _: Option<&Version>) -> Result<()> {
        Err(unbuilt())
    }

    async fn query(&self, _: &QueryRange) -> Result<Items> {
        Err(unbuilt())
    }

    async fn scan(&self, _: &ScanSegment) -> Result<Items> {
        Err(unbuilt())
    }

    async fn transact(&self, _: Vec<Write>) -> Result<Vec<Option<Version>>> {
        Err(unbuilt())
    }

    async fn add(&self, _: &Key, _: i64) -> Result<i64> {
        Err(unbuilt())
    }
}
