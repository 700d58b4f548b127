//! [`KeyValue`]: the trait that an adapter of a key-value service implements, and its types.
//!
//! The methods are few, and their arguments raw bytes: typed values, pages, `update` and the checks of limits are in
//! [`Table`](super::Table), once for all adapters.

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::{Key, PutMode, Version};
use crate::{Error, Origin, Result};

/// The puts that [`KeyValue::put_many`] runs in parallel.
const PARALLEL_PUTS: usize = 16;

/// The keys and values of a page of a [scan](KeyValue::scan), in bytes, where the service has no such limit. A page has at least
/// one item. DynamoDB has the same limit.
pub const SCAN_BYTES: usize = 1 << 20;

/// A key-value service: the trait that an adapter implements.
///
/// The portable type has checked keys, sizes and access. So an implementer never receives an empty partition, a key over
/// the limit, an empty transaction, two writes of one key, or a range that no key can be in.
///
/// Implementers must:
/// - return values bit for bit, from 0 bytes to the limit;
/// - store every write with a [`Version`] that no other write of the table ever had, also after a delete;
/// - never return an item whose `expires_at` has passed on the provider's [`Clock`](crate::clock::Clock), and treat it as
///   absent in every condition, even if the service has not deleted it yet;
/// - let a process read its own earlier writes, through every handle of the table;
/// - order sort keys by their UTF-8 bytes, and treat any two different keys as different;
/// - have a write stored durably before it is `Ok`, and apply it completely or not at all, also if the caller drops the
///   future;
/// - retry throttled requests, within [`current_deadline`](crate::ambient::current_deadline), before they return
///   `Throttled`;
/// - set [`outcome_unknown`](Error::with_outcome_unknown) on an error after which a write may have been applied;
/// - return `NotFound` for a table that does not exist, and never create one on a cloud;
/// - never put a value into an error.
///
/// Every host calls the methods on a tokio runtime: a driver may use `tokio::spawn` and `spawn_blocking`, and must not block a thread
/// for long.
///
/// | difference | local | AWS | Azure | Google Cloud |
/// |---|---|---|---|---|
/// | own reads after writes | one writer | `ConsistentRead` | session token in Cosmos DB | strong reads |
/// | version | number in the file | 128 random bits | ETag | `updateTime` and a mark of the item |
/// | `add` | one local transaction | `ADD` with a condition | patch increment; ETag and retry in Table Storage | `increment` transform |
/// | expired items deleted after | 1 minute | 2 days | 1 day; never in Table Storage | 3 days |
#[async_trait]
pub trait KeyValue: fmt::Debug + Send + Sync + 'static {
    /// Reads the item with this key; `None` if it is absent or expired.
    async fn get(&self, key: &Key) -> Result<Option<Item>>;

    /// Reads the items with these keys. Must return one result for each key, in the order of the keys, `None` for an absent
    /// one. The number of keys has no limit, and a key may occur twice.
    ///
    /// A key that the service left unprocessed must be requested again, and must never be reported as absent.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>>;

    /// Writes an item and returns its new version.
    ///
    /// Errors: `AlreadyExists` for [`PutMode::Create`]; `Conflict` for [`PutMode::Update`], also if the item is absent.
    async fn put(&self, put: Put) -> Result<Version>;

    /// Writes items that do not depend on each other: one result for each, in the order of the puts, as that of
    /// [`put`](Self::put). No key occurs twice; the number of puts has no limit.
    ///
    /// A put that the service left unprocessed must be sent again. Without this method some puts run in parallel.
    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        stream::iter(puts).map(|put| self.put(put)).buffered(PARALLEL_PUTS).collect().await
    }

    /// Deletes an item, with or without an expected version. Without one, an absent item must be `Ok`.
    ///
    /// Errors: `Conflict` for another version than the expected one, and if the item is absent.
    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()>;

    /// Reads items of one partition whose sort keys are in a range, in order.
    ///
    /// The cost must grow with the result, never with the table. The result may contain fewer than `limit` items although
    /// there are more; then [`Items::resume`] must be set.
    async fn query(&self, range: &QueryRange) -> Result<Items>;

    /// Reads items of one of several disjoint segments of the table, in no order. All segments together must contain every
    /// item exactly once, also while others write.
    ///
    /// A page has some megabytes at most, whatever the limit: several segments of large items must fit into memory. A driver
    /// whose service does not end a page by its size ends it after [`SCAN_BYTES`], or requests fewer items.
    ///
    /// Errors: `InvalidInput` of the origin `Request` for an `after` that no scan can have returned. One that another scan
    /// returned may lead to any page of this table.
    async fn scan(&self, segment: &ScanSegment) -> Result<Items>;

    /// Applies all writes, which are of one partition, or none. Returns one result for each write, in their order: the new
    /// version of a put or an add, `None` for a delete.
    ///
    /// An add must succeed under contention, as in [`add`](Self::add): another writer of the same counter is not a
    /// `Conflict`. If the response was lost, the transaction may be sent again only if [`is_repeatable`] returns `true`;
    /// otherwise the error must have `outcome_unknown`.
    ///
    /// Errors: those of `put`, `delete` and `add` for the first write that fails.
    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>>;

    /// Adds to a counter atomically and returns the sum; an absent item counts as 0 and has no expiry.
    ///
    /// A counter is an item whose value is a decimal integer in its shortest form, however it was written: after a `put` of
    /// `5` and an `add` of 1, `get` must return the text `6`. The item keeps its expiry and receives a new version.
    ///
    /// Errors: `InvalidInput` of the origin `Data` if the value is not such an integer, or if the absolute value of the sum
    /// would be more than [`Limits::counter_max_abs`](crate::profile::Limits::counter_max_abs). The item must not change
    /// then.
    async fn add(&self, key: &Key, delta: i64) -> Result<i64>;
}

/// A stored item in the form of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The key of the item.
    pub key: Key,
    /// The value, bit for bit.
    pub value: Bytes,
    /// The version of its last write.
    pub version: Version,
    /// The time from which the item counts as absent, in whole milliseconds; `None` for no expiry.
    pub expires_at: Option<SystemTime>,
}

impl Item {
    /// An item without an expiry.
    pub fn new(key: Key, value: impl Into<Bytes>, version: Version) -> Self {
        Self { key, value: value.into(), version, expires_at: None }
    }

    /// Sets the expiry; `None` for no expiry.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: impl Into<Option<SystemTime>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }

    /// The bytes of the key and the value.
    pub fn size(&self) -> usize {
        self.key.partition.len() + self.key.sort.len() + self.value.len()
    }
}

/// A put in the form of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Put {
    /// The key to write.
    pub key: Key,
    /// The value to store.
    pub value: Bytes,
    /// The condition of the write.
    pub mode: PutMode,
    /// The expiry of the item, in whole milliseconds; `None` for no expiry.
    pub expires_at: Option<SystemTime>,
}

impl Put {
    /// A put that replaces a stored item, without an expiry.
    pub fn new(key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), mode: PutMode::Overwrite, expires_at: None }
    }

    /// Sets the condition of the write.
    #[must_use]
    pub fn with_mode(mut self, mode: PutMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the expiry of the item; `None` for no expiry.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: impl Into<Option<SystemTime>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }
}

/// One write of a transaction. A driver must return [`Error::unknown_variant`] for a variant that it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Writes an item.
    Put(Put),
    /// Deletes an item.
    Delete {
        /// The key to delete.
        key: Key,
        /// The expected version; `None` for any version or an absent item.
        version: Option<Version>,
    },
    /// Adds to a counter, as [`KeyValue::add`] does.
    Add {
        /// The key of the counter.
        key: Key,
        /// The number to add.
        delta: i64,
    },
}

impl Write {
    /// The key of the item.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(put) => &put.key,
            Self::Delete { key, .. } | Self::Add { key, .. } => key,
        }
    }

    /// Is it an addition to a counter?
    pub fn is_add(&self) -> bool {
        matches!(self, Self::Add { .. })
    }
}

/// May a transaction be sent again after its response was lost?
///
/// Without an add, always. With an add, only if it contains a `Create` or an `Update`, which fails if the first request was
/// applied; otherwise the repetition could add twice.
pub fn is_repeatable(writes: &[Write]) -> bool {
    let is_condition =
        |write: &Write| matches!(write, Write::Put(Put { mode: PutMode::Create | PutMode::Update(_), .. }));
    !writes.iter().any(Write::is_add) || writes.iter().any(is_condition)
}

/// A range of sort keys of one partition. `lower` is before `upper` by UTF-8 bytes in both directions. The portable type has
/// converted prefixes and cursors to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryRange {
    /// The partition.
    pub partition: String,
    /// The lower end of the sort keys.
    pub lower: Bound<String>,
    /// The upper end of the sort keys.
    pub upper: Bound<String>,
    /// Must the items be in the order from the upper end to the lower?
    pub descending: bool,
    /// The largest number of items to return; at least 1.
    pub limit: usize,
}

impl QueryRange {
    /// The first `limit` items of a whole partition, in ascending order.
    pub fn new(partition: impl Into<String>, limit: usize) -> Self {
        let (lower, upper) = (Bound::Unbounded, Bound::Unbounded);
        Self { partition: partition.into(), lower, upper, descending: false, limit }
    }

    /// Sets the ends of the sort keys.
    #[must_use]
    pub fn with_bounds(mut self, lower: Bound<String>, upper: Bound<String>) -> Self {
        (self.lower, self.upper) = (lower, upper);
        self
    }
}

/// One page of one of several disjoint segments, which together are the whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanSegment {
    /// The number of the segment, starting at 0.
    pub segment: u32,
    /// The number of segments.
    pub segments: u32,
    /// The largest number of items to return; at least 1.
    pub limit: usize,
    /// The [`Items::resume`] of the previous page; `None` for the first one.
    pub after: Option<String>,
}

impl ScanSegment {
    /// The first page of a segment.
    pub fn new(segment: u32, segments: u32, limit: usize) -> Self {
        Self { segment, segments, limit, after: None }
    }

    /// Sets the [`Items::resume`] of the previous page.
    #[must_use]
    pub fn with_after(mut self, after: impl Into<Option<String>>) -> Self {
        self.after = after.into();
        self
    }
}

/// The result of a query or a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Items {
    /// The items of this page, without expired ones.
    pub items: Vec<Item>,
    /// The position after this page; `None` at the end. For a query it must be the last sort key that was read, returned or
    /// not. For a scan it is any text with which the driver can continue, also while others write.
    pub resume: Option<String>,
}

impl Items {
    /// A page of items, and the position after it.
    pub fn new(items: Vec<Item>, resume: Option<String>) -> Self {
        Self { items, resume }
    }
}

/// The number of a counter; `None` if the value is not a decimal integer in its shortest form, such as `07` or `+7`.
pub fn parse_counter(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The sum of a counter by the rules of [`KeyValue::add`]: `stored` is the value, `limit` the largest absolute value of the
/// sum.
///
/// Errors: `InvalidInput` of the origin `Data`.
pub fn add_to_counter(stored: Option<&[u8]>, delta: i64, limit: i64) -> Result<i64> {
    let invalid = |message| Error::invalid_input(message).with_origin(Origin::Data);
    let current = match stored {
        None => 0,
        Some(value) => parse_counter(value)
            .ok_or_else(|| invalid("the value is not an integer; use `add` on counters only".to_owned()))?,
    };
    let sum = current.checked_add(delta).filter(|sum| sum.unsigned_abs() <= limit.unsigned_abs());
    sum.ok_or_else(|| invalid(format!("the counter would be more than ±{limit}; it remains {current}")))
}

/// An addition as the put of the sum, for services that cannot add. Its condition is the stored version, or the absence of
/// the item, and the item keeps its expiry. Errors: those of [`add_to_counter`].
pub fn put_of_sum(key: &Key, delta: i64, stored: Option<Item>, limit: i64) -> Result<Put> {
    let sum = add_to_counter(stored.as_ref().map(|item| item.value.as_ref()), delta, limit)?;
    let (mode, expires_at) = match stored {
        Some(item) => (PutMode::Update(item.version), item.expires_at),
        None => (PutMode::Create, None),
    };
    Ok(Put { key: key.clone(), value: sum.to_string().into(), mode, expires_at })
}

/// The sum in a put of [`put_of_sum`]. Errors: `Internal` for another put.
pub fn sum_of(put: &Put) -> Result<i64> {
    parse_counter(&put.value).ok_or_else(|| Error::internal("bug in isobar: a sum is not an integer; please report it"))
}

/// The same writes with each addition as the put of its sum. `stored` returns the item at a key. Errors: those of `stored`
/// and of [`put_of_sum`].
pub fn with_sums<'a>(
    writes: &'a [Write],
    limit: i64,
    stored: impl Fn(&Key) -> Result<Option<Item>>,
) -> Result<Vec<Cow<'a, Write>>> {
    let sum = |write: &'a Write| match write {
        Write::Add { key, delta } => {
            put_of_sum(key, *delta, stored(key)?, limit).map(|put| Cow::Owned(Write::Put(put)))
        }
        write => Ok(Cow::Borrowed(write)),
    };
    writes.iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shortest_decimal_integers_are_counters() {
        for (text, number) in
            [("0", Some(0)), ("-7", Some(-7)), ("07", None), ("+7", None), ("7.0", None), ("", None), ("-0", None)]
        {
            assert_eq!(parse_counter(text.as_bytes()), number, "{text}");
        }
    }
}
