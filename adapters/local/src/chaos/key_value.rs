//! A table whose calls fail. `put_many` is that of the trait, by which each put can fail alone.

use async_trait::async_trait;
use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};

use super::Calls;

#[derive(Debug)]
pub(crate) struct FaultyKeyValue<T> {
    table: T,
    calls: Calls,
}

impl<T> FaultyKeyValue<T> {
    pub(crate) fn new(table: T, calls: Calls) -> Self {
        Self { table, calls }
    }
}

#[async_trait]
impl<T: KeyValue> KeyValue for FaultyKeyValue<T> {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        self.calls.read("get", self.table.get(key)).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.calls.read("get_many", self.table.get_many(keys)).await
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.calls.write("put", self.table.put(put)).await
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.calls.write("delete", self.table.delete(key, version)).await
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        self.calls.read("query", self.table.query(range)).await
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        self.calls.read("scan", self.table.scan(segment)).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.calls.write("transact", self.table.transact(writes)).await
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        self.calls.write("add", self.table.add(key, delta)).await
    }
}
