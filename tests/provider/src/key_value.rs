//! Key-value: one map.

use std::collections::HashMap;

use async_trait::async_trait;
use isobar::driver::Clock;
use isobar::driver::key_value::{
    Item, Items, Key, KeyValue, Put, PutMode, QueryRange, ScanSegment, Version, Write, put_of_sum, sum_of,
};
use isobar::{Error, Result};
use isobar_serve::SystemClock;
use parking_lot::Mutex;

use crate::PROFILE;

/// One table.
#[derive(Debug, Default)]
pub(crate) struct HeapKeyValue(Mutex<Map>);

#[derive(Debug, Default)]
struct Map {
    items: HashMap<Key, Item>,
    writes: u64,
}

impl Map {
    fn live(&self, key: &Key) -> Option<&Item> {
        // An expired item is absent, in reads and in conditions.
        self.items.get(key).filter(|item| item.expires_at.is_none_or(|expiry| SystemClock.now() < expiry))
    }

    fn check(&self, key: &Key, mode: &PutMode) -> Result<()> {
        match (mode, self.live(key)) {
            (PutMode::Overwrite, _) | (PutMode::Create, None) => Ok(()),
            (PutMode::Create, Some(_)) => Err(Error::already_exists(format!("there is an item at `{key}`"))),
            (PutMode::Update(version), Some(item)) if item.version == *version => Ok(()),
            (PutMode::Update(_), _) => Err(Error::conflict(format!("the item at `{key}` was written since"))),
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }

    fn put(&mut self, put: Put) -> Result<Version> {
        let Put { key, value, mode, expires_at, .. } = put;
        self.check(&key, &mode)?;
        self.writes += 1;
        let version = Version::new(self.writes.to_string());
        let item = Item::new(key.clone(), value, version.clone()).with_expires_at(expires_at);
        self.items.insert(key, item);
        Ok(version)
    }
}

#[async_trait]
impl KeyValue for HeapKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        Ok(self.0.lock().live(key).cloned())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let map = self.0.lock();
        Ok(keys.iter().map(|key| map.live(key).cloned()).collect())
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.0.lock().put(put)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let mut map = self.0.lock();
        map.check(key, &version.cloned().map_or(PutMode::Overwrite, PutMode::Update))?;
        map.items.remove(key);
        Ok(())
    }

    async fn query(&self, _: &QueryRange) -> Result<Items> {
        Err(Error::unsupported("query", "heap", "get the items by their keys"))
    }

    async fn scan(&self, _: &ScanSegment) -> Result<Items> {
        Err(Error::unsupported("scan", "heap", "get the items by their keys"))
    }

    async fn transact(&self, _: Vec<Write>) -> Result<Vec<Option<Version>>> {
        Err(Error::unsupported("transact", "heap", "write one item at a time"))
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        let mut map = self.0.lock();
        let put = put_of_sum(key, delta, map.live(key).cloned(), PROFILE.limits.counter_max_abs)?;
        let sum = sum_of(&put)?;
        map.put(put)?;
        Ok(sum)
    }
}
