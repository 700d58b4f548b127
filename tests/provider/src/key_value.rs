//! Key-value: one ordered map.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use isobar::driver::Clock;
use isobar::driver::key_value::{
    Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write, checked_writes, put_of_sum, sum_of,
};
use isobar::{Error, Result};
use parking_lot::Mutex;

use crate::PROFILE;

/// One table. A write holds the lock from its first condition to its last change, so it is applied whole or not at all.
#[derive(Debug)]
pub(crate) struct HeapKeyValue {
    clock: Arc<dyn Clock>,
    map: Mutex<Map>,
}

#[derive(Debug, Default)]
struct Map {
    items: BTreeMap<Key, Item>,
    /// The number of all writes so far, which makes a version unique.
    writes: u64,
}

impl HeapKeyValue {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, map: Mutex::default() }
    }

    /// An expired item counts as absent, in reads and in conditions.
    fn is_live(&self, item: &Item) -> bool {
        item.expires_at.is_none_or(|expiry| self.clock.now() < expiry)
    }

    fn live(&self, map: &Map, key: &Key) -> Option<Item> {
        map.items.get(key).filter(|item| self.is_live(item)).cloned()
    }

    fn write(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let mut map = self.map.lock();
        let writes = checked_writes(writes, PROFILE.limits.counter_max_abs, |key| Ok(self.live(&map, key)))?;
        writes.into_iter().map(|write| map.apply(write.into_owned())).collect()
    }

    /// The first live items of an iterator, and whether there are more.
    fn page<'a>(&self, items: impl Iterator<Item = &'a Item>, limit: usize) -> (Vec<Item>, bool) {
        let mut page: Vec<_> = items.filter(|item| self.is_live(item)).take(limit.saturating_add(1)).cloned().collect();
        let has_more = page.len() > limit;
        page.truncate(limit);
        (page, has_more)
    }
}

impl Map {
    fn apply(&mut self, write: Write) -> Result<Option<Version>> {
        match write {
            Write::Put(Put { key, value, expires_at, .. }) => {
                self.writes += 1;
                let version = Version::new(self.writes.to_string());
                let item = Item::new(key.clone(), value, version.clone()).with_expires_at(expires_at);
                self.items.insert(key, item);
                Ok(Some(version))
            }
            Write::Delete { key, .. } => {
                self.items.remove(&key);
                Ok(None)
            }
            _ => Err(Error::unknown_variant("Write")),
        }
    }
}

#[async_trait]
impl KeyValue for HeapKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        Ok(self.live(&self.map.lock(), key))
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let map = self.map.lock();
        Ok(keys.iter().map(|key| self.live(&map, key)).collect())
    }

    async fn put(&self, put: Put) -> Result<Version> {
        let versions = self.write(&[Write::Put(put)])?;
        versions.into_iter().flatten().next().ok_or_else(|| Error::internal("a put returned no version"))
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.write(&[Write::Delete { key: key.clone(), version: version.cloned() }]).map(drop)
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        let key = |sort: &String| Key::new(range.partition.clone(), sort.clone());
        let lower = match &range.lower {
            Bound::Unbounded => Bound::Included(Key::new(range.partition.clone(), "")),
            bound => bound.as_ref().map(key),
        };
        let upper = match &range.upper {
            // The smallest key after all keys of the partition.
            Bound::Unbounded => Bound::Excluded(Key::new(format!("{}\0", range.partition), "")),
            bound => bound.as_ref().map(key),
        };
        let map = self.map.lock();
        let items = map.items.range((lower, upper)).map(|(_, item)| item);
        let (items, has_more) = match range.descending {
            true => self.page(items.rev(), range.limit),
            false => self.page(items, range.limit),
        };
        let resume = items.last().filter(|_| has_more).map(|item| item.key.sort.clone());
        Ok(Items::new(items, resume))
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        let wrong = |_| Error::invalid_input("not a cursor of this scan: use the one that the previous page returned");
        let after: Option<Key> = segment.after.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?;
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let map = self.map.lock();
        let items = map.items.range((after, Bound::Unbounded)).map(|(_, item)| item);
        let items = items.filter(|item| segment_of(&item.key, segment.segments) == segment.segment);
        let (items, has_more) = self.page(items, segment.limit);
        let last = items.last().filter(|_| has_more);
        let resume = last.map(|item| serde_json::to_string(&item.key)).transpose()?;
        Ok(Items::new(items, resume))
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.write(&writes)
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        let mut map = self.map.lock();
        let put = put_of_sum(key, delta, self.live(&map, key), PROFILE.limits.counter_max_abs)?;
        let sum = sum_of(&put)?;
        map.apply(Write::Put(put))?;
        Ok(sum)
    }
}

fn segment_of(key: &Key, segments: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    key.partition.hash(&mut hasher);
    (hasher.finish() % u64::from(segments)) as u32
}
