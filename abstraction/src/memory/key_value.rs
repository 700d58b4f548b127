//! Key-value in memory: one ordered map.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{PROFILE, Queues};
use crate::clock::{Clock, ManualClock};
use crate::key_value::{
    Item, Items, Key, KeyValue, Put, QueryRange, SCAN_BYTES, ScanSegment, Version, Write, checked_writes, is_own,
    put_of_sum, sum_of,
};
use crate::{Error, Origin, Result};

/// Key-value in memory.
#[derive(Debug)]
pub(crate) struct MemoryKeyValue {
    name: String,
    clock: ManualClock,
    queues: Arc<Queues>,
    map: Mutex<Map>,
}

#[derive(Debug, Default)]
struct Map {
    items: BTreeMap<Key, Item>,
    writes: u64,
}

impl MemoryKeyValue {
    pub(crate) fn new(name: &str, clock: ManualClock, queues: Arc<Queues>) -> Self {
        Self { name: name.to_owned(), clock, queues, map: Mutex::default() }
    }

    fn is_live(&self, item: &Item) -> bool {
        item.expires_at.is_none_or(|expiry| self.clock.now() < expiry)
    }

    fn live<'a>(&self, map: &'a Map, key: &Key) -> Option<&'a Item> {
        map.items.get(key).filter(|item| self.is_live(item))
    }

    fn apply(&self, map: &mut Map, write: Write) -> Option<Version> {
        match write {
            Write::Put(Put { key, value, expires_at, .. }) => {
                if !is_own(&key.sort) {
                    self.queues.push_write(&self.name, &key, self.clock.now());
                }
                map.writes += 1;
                let version = Version::new(map.writes.to_string());
                map.items.insert(key.clone(), Item { key, value, version: version.clone(), expires_at });
                Some(version)
            }
            Write::Delete { key, .. } => {
                map.items.remove(&key);
                None
            }
            Write::Add { .. } => None,
        }
    }

    fn write(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let mut map = self.map.lock();
        let writes = checked_writes(writes, PROFILE.limits.counter_max_abs, |key| Ok(self.live(&map, key).cloned()))?;
        Ok(writes.into_iter().map(|write| self.apply(&mut map, write.into_owned())).collect())
    }
}

#[async_trait]
impl KeyValue for MemoryKeyValue {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        Ok(self.live(&self.map.lock(), key).cloned())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        let map = self.map.lock();
        Ok(keys.iter().map(|key| self.live(&map, key).cloned()).collect())
    }

    async fn put(&self, put: Put) -> Result<Version> {
        let versions = self.write(&[Write::Put(put)])?;
        versions
            .into_iter()
            .flatten()
            .next()
            .ok_or_else(|| Error::internal("bug in isobar: a put returned no version; please report it"))
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.write(&[Write::Delete { key: key.clone(), version: version.cloned() }]).map(drop)
    }

    async fn query(&self, range: &QueryRange) -> Result<Items> {
        let map = self.map.lock();
        let key = |sort: &String| Key::new(range.partition.clone(), sort.clone());
        // The first key after a partition: the same text with the smallest character appended.
        let end = Bound::Excluded(Key::new(format!("{}\0", range.partition), ""));
        let lower = match &range.lower {
            Bound::Unbounded => Bound::Included(Key::new(range.partition.clone(), "")),
            bound => bound.as_ref().map(key),
        };
        let upper = if range.upper == Bound::Unbounded { end } else { range.upper.as_ref().map(key) };
        let found = map.items.range((lower, upper)).map(|(_, item)| item).filter(|item| self.is_live(item));
        let mut items: Vec<_> = match range.descending {
            true => found.rev().take(range.limit.saturating_add(1)).cloned().collect(),
            false => found.take(range.limit.saturating_add(1)).cloned().collect(),
        };
        let more = items.len() > range.limit;
        items.truncate(range.limit);
        let resume = items.last().filter(|_| more).map(|item| item.key.sort.clone());
        Ok(Items { items, resume })
    }

    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        let after = match &segment.after {
            Some(text) => Bound::Excluded(serde_json::from_str::<Key>(text).map_err(|_| {
                Error::invalid_input("not a cursor of this scan; pass the `next` of a page")
                    .with_origin(Origin::Request)
            })?),
            None => Bound::Unbounded,
        };
        let map = self.map.lock();
        let found = map.items.range::<Key, _>((after, Bound::Unbounded)).map(|(_, item)| item);
        let mine =
            found.filter(|item| self.is_live(item) && segment_of(&item.key, segment.segments) == segment.segment);
        let (mut page, mut bytes) = (Items::default(), 0);
        for item in mine {
            let last = page.items.last().filter(|_| page.items.len() == segment.limit || bytes >= SCAN_BYTES);
            if let Some(last) = last {
                page.resume = Some(serde_json::to_string(&last.key)?);
                break;
            }
            bytes += item.size();
            page.items.push(item.clone());
        }
        Ok(page)
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.write(&writes)
    }

    async fn add(&self, key: &Key, delta: i64) -> Result<i64> {
        let mut map = self.map.lock();
        let put = put_of_sum(key, delta, self.live(&map, key).cloned(), PROFILE.limits.counter_max_abs)?;
        let sum = sum_of(&put);
        self.apply(&mut map, Write::Put(put));
        sum
    }
}

fn segment_of(key: &Key, segments: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    key.partition.hash(&mut hasher);
    (hasher.finish() % u64::from(segments)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_of_a_scan_ends_after_a_mebibyte() {
        let table = MemoryKeyValue::new("items", ManualClock::default(), Arc::default());
        for number in 0..10 {
            table.put(Put::new(format!("{number}"), vec![7; 300_000])).await.unwrap();
        }
        let (mut pages, mut scan) = (Vec::new(), ScanSegment::new(0, 1, usize::MAX));
        loop {
            let page = table.scan(&scan).await.unwrap();
            pages.push(page.items.len());
            scan.after = page.resume;
            if scan.after.is_none() {
                break;
            }
        }
        assert_eq!(pages, [4, 4, 2]);
    }
}
