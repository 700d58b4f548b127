//! What a key-value service is to the portable types: the trait that an adapter implements, and its types.

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Key, PutMode, Version};
use crate::{Error, Origin, Result};

/// A key-value service: the trait that an adapter implements.
///
/// The portable type has already checked keys, sizes and access, so an implementer never gets
/// an empty partition, a key over the limit, an empty transaction or a write twice to one key.
///
/// Implementers must:
/// - return values bit for bit, and give every write a [`Version`] that no other write of the
///   table ever had;
/// - never return an item whose `expires_at` has passed on the provider's [`Clock`](crate::clock::Clock),
///   and treat it as absent in every condition, whether or not the service has deleted it yet;
/// - let a caller read its own earlier writes;
/// - order sort keys by their UTF-8 bytes;
/// - retry what the service throttles, then fail with `Throttled`;
/// - set `outcome_unknown` on an error after which a write may have been applied.
///
/// A write must be all or nothing even when the caller drops the future.
#[async_trait]
pub trait KeyValue: fmt::Debug + Send + Sync + 'static {
    /// The item with this key.
    async fn get(&self, key: &Key) -> Result<Option<Item>>;

    /// The items with these keys, in the order asked, `None` for a missing one. Any number of keys.
    ///
    /// A key that the service left unprocessed must be asked for again, never reported missing.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>>;

    /// Writes an item. Errors: `AlreadyExists` for [`PutMode::Create`], `Conflict` for
    /// [`PutMode::Update`], also where the item is absent.
    async fn put(&self, put: Put) -> Result<Version>;

    /// Deletes an item; an absent one is `Ok` unless a version is asked for. Errors: `Conflict`.
    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()>;

    /// Items of one partition whose sort keys lie in a range, in order.
    ///
    /// The cost must grow with the answer, never with the table. The answer may hold fewer than
    /// `limit` items although there are more; then [`Items::resume`] is set.
    async fn query(&self, range: &QueryRange) -> Result<Items>;

    /// Items of the whole table in no order, one of several disjoint segments of them.
    async fn scan(&self, segment: &ScanSegment) -> Result<Items>;

    /// Applies all writes or none; all are of one partition. Answers in the order of the writes:
    /// the new version of a put or an add, `None` for a delete. Errors: those of `put`, `delete` and
    /// `add`, whichever write fails first.
    ///
    /// An add must succeed under contention, as [`add`](Self::add) does: another writer of the same
    /// counter is no `Conflict`. After a lost answer the transaction may be sent again only where
    /// [`is_repeatable`] says so; else the error has `outcome_unknown`.
    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>>;

    /// Adds to a counter atomically and returns the sum; an absent one counts as 0.
    ///
    /// A counter is an item whose value is a decimal integer in its shortest form, however it was
    /// written: `put` of `5` and `add` of 1 makes `6`, and `get` returns `6` as text. It keeps the
    /// expiry it has. Errors: `InvalidInput` where the value is no such integer or the sum's
    /// absolute value would pass [`Limits::counter_max_abs`](crate::profile::Limits::counter_max_abs); nothing is changed then.
    async fn add(&self, key: &Key, delta: i64) -> Result<i64>;
}

/// A stored item, as a driver returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// Its key.
    pub key: Key,
    /// Its value, bit for bit.
    pub value: Bytes,
    /// The version of its last write.
    pub version: Version,
    /// When it expires.
    pub expires_at: Option<SystemTime>,
}

impl Item {
    /// An item that never expires.
    pub fn new(key: Key, value: impl Into<Bytes>, version: Version) -> Self {
        Self { key, value: value.into(), version, expires_at: None }
    }

    /// When it expires, or `None` for never.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: impl Into<Option<SystemTime>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }
}

/// One put, as a driver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Put {
    /// Where.
    pub key: Key,
    /// What.
    pub value: Bytes,
    /// When it may happen.
    pub mode: PutMode,
    /// When it expires.
    pub expires_at: Option<SystemTime>,
}

impl Put {
    /// A put that overwrites what is stored, and whose item never expires.
    pub fn new(key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), mode: PutMode::Overwrite, expires_at: None }
    }

    /// When it may happen.
    #[must_use]
    pub fn with_mode(mut self, mode: PutMode) -> Self {
        self.mode = mode;
        self
    }

    /// When the item expires, or `None` for never.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: impl Into<Option<SystemTime>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }
}

/// One write of a transaction. A driver answers [`Error::unknown_variant`] to one that it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Writes an item.
    Put(Put),
    /// Deletes an item.
    Delete {
        /// Which.
        key: Key,
        /// Only this version of it.
        version: Option<Version>,
    },
    /// Adds to a counter, as [`KeyValue::add`] does.
    Add {
        /// Which.
        key: Key,
        /// How much.
        delta: i64,
    },
}

impl Write {
    /// The key that it writes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put(put) => &put.key,
            Self::Delete { key, .. } | Self::Add { key, .. } => key,
        }
    }

    /// Does it add to a counter?
    pub fn is_add(&self) -> bool {
        matches!(self, Self::Add { .. })
    }
}

/// May a transaction be sent again after its answer was lost?
///
/// Without an add, always. With one, only where a `Create` or an `Update` in it fails if the first
/// request was applied: else the repeat would add twice.
pub fn is_repeatable(writes: &[Write]) -> bool {
    let is_condition =
        |write: &Write| matches!(write, Write::Put(Put { mode: PutMode::Create | PutMode::Update(_), .. }));
    !writes.iter().any(Write::is_add) || writes.iter().any(is_condition)
}

/// A range of sort keys of one partition. `lower` and `upper` are in byte order, whichever the
/// direction; prefixes, limits and cursors have been made into it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryRange {
    /// The partition.
    pub partition: String,
    /// The lower end.
    pub lower: Bound<String>,
    /// The upper end.
    pub upper: Bound<String>,
    /// From the upper end down.
    pub descending: bool,
    /// The most items to answer with; at least 1.
    pub limit: usize,
}

impl QueryRange {
    /// At most `limit` items of a whole partition, from its lower end up.
    pub fn new(partition: impl Into<String>, limit: usize) -> Self {
        let (lower, upper) = (Bound::Unbounded, Bound::Unbounded);
        Self { partition: partition.into(), lower, upper, descending: false, limit }
    }

    /// Only sort keys within these ends.
    #[must_use]
    pub fn with_bounds(mut self, lower: Bound<String>, upper: Bound<String>) -> Self {
        (self.lower, self.upper) = (lower, upper);
        self
    }
}

/// One of several disjoint segments of a table, which together are all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanSegment {
    /// Which, from 0.
    pub segment: u32,
    /// Of how many.
    pub segments: u32,
    /// The most items to answer with; at least 1.
    pub limit: usize,
    /// The [`Items::resume`] of the page before.
    pub after: Option<String>,
}

impl ScanSegment {
    /// The first page of this one of so many segments.
    pub fn new(segment: u32, segments: u32, limit: usize) -> Self {
        Self { segment, segments, limit, after: None }
    }

    /// The page after the one whose [`Items::resume`] this is.
    #[must_use]
    pub fn with_after(mut self, after: impl Into<Option<String>>) -> Self {
        self.after = after.into();
        self
    }
}

/// What a driver answers to a query or a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Items {
    /// The items.
    pub items: Vec<Item>,
    /// Set where there may be more. For a query: the last sort key that was looked at, returned or
    /// not. For a scan: whatever the driver needs to go on after this page, also while others write.
    pub resume: Option<String>,
}

impl Items {
    /// These items, and where there may be more.
    pub fn new(items: Vec<Item>, resume: Option<String>) -> Self {
        Self { items, resume }
    }
}

/// The integer that a value holds, if it is a counter: decimal, in its shortest form.
pub fn parse_counter(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// The sum of a counter, as [`KeyValue::add`] must form it. Errors: `InvalidInput`.
pub fn add_to_counter(stored: Option<&[u8]>, delta: i64, limit: i64) -> Result<i64> {
    let refused = |message| Error::invalid_input(message).with_origin(Origin::Data);
    let current = match stored {
        None => 0,
        Some(value) => parse_counter(value)
            .ok_or_else(|| refused("the item does not hold an integer; `add` needs a counter of its own".to_owned()))?,
    };
    let sum = current.checked_add(delta).filter(|sum| sum.unsigned_abs() <= limit.unsigned_abs());
    sum.ok_or_else(|| refused(format!("the counter would pass {limit}; it stays at {current}")))
}

/// An addition as the put that writes the sum over what is stored, for services that cannot add by
/// themselves. The item keeps its expiry. Errors: those of [`add_to_counter`].
pub fn put_of_sum(key: &Key, delta: i64, stored: Option<Item>, limit: i64) -> Result<Put> {
    let sum = add_to_counter(stored.as_ref().map(|item| item.value.as_ref()), delta, limit)?;
    let (mode, expires_at) = match stored {
        Some(item) => (PutMode::Update(item.version), item.expires_at),
        None => (PutMode::Create, None),
    };
    Ok(Put { key: key.clone(), value: sum.to_string().into(), mode, expires_at })
}

/// The sum that [`put_of_sum`] writes. Errors: `Internal` where the put is of something else.
pub fn sum_of(put: &Put) -> Result<i64> {
    parse_counter(&put.value).ok_or_else(|| Error::internal("a sum is no integer"))
}

/// The same writes, each addition as the put of its sum over what `stored` finds at its key.
/// Errors: those of `stored` and of [`put_of_sum`].
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
