//! Key-value tables: [`Table`] is the type for apps.
//!
//! The contract is what DynamoDB, Cosmos DB, Table Storage, Firestore and a local file have in common: items with a
//! partition and a sort key, conditions on versions, transactions in one partition, counters and a time to live. There are
//! no secondary indexes and no queries across partitions, because the services do not share them: see the guide on a
//! secondary index.

pub(crate) mod check;
pub(crate) mod driver;
mod many;
pub(crate) mod own;
mod query;
mod table;
pub(crate) mod transaction;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use check::{checked_writes, is_own};
pub(crate) use driver::{
    Item, Items, KeyValue, Put, QueryRange, SCAN_BYTES, ScanSegment, Write, put_of_sum, sum_of, with_sums,
};
pub use query::{Cursor, Entry, Page, Query, ScanQuery, Unreadable};
pub use table::Table;
pub use transaction::Transaction;

use crate::{Error, Result};

/// The key of an item: its partition, and its sort key in the partition.
///
/// Both are any UTF-8; keys that look alike, such as composed and decomposed characters, are different. A partition has 1
/// to 256 bytes, a sort key 0 to 512. Items of one partition are ordered by the UTF-8 bytes of their sort keys, and can be
/// written in one transaction. Sort keys that begin with U+10FFFF U+10FFFF are isobar's own: an app cannot use them, and a
/// driver must store them like any others.
///
/// Text alone is a key with an empty sort key; a pair is a partition and a sort key:
///
/// ```
/// use isobar_abstraction::key_value::Key;
/// assert_eq!(Key::from("ada"), Key::new("ada", ""));
/// assert_eq!(Key::from(("ada", "2026-01-01")), Key::new("ada", "2026-01-01"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The partition: its items are stored together.
    pub partition: String,
    /// The sort key: the order in the partition. It may be empty.
    pub sort: String,
}

impl Key {
    /// A key with both parts.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partition, sort) = (self.partition.escape_debug(), self.sort.escape_debug());
        if self.sort.is_empty() { write!(f, "{partition}") } else { write!(f, "{partition} / {sort}") }
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

/// A key with an empty sort.
impl From<&str> for Key {
    fn from(partition: &str) -> Self {
        Self::new(partition, "")
    }
}

/// A key with an empty sort.
impl From<String> for Key {
    fn from(partition: String) -> Self {
        Self::new(partition, "")
    }
}

/// A key with an empty sort.
impl From<&String> for Key {
    fn from(partition: &String) -> Self {
        Self::new(partition, "")
    }
}

/// A key with both parts.
impl<P: Into<String>, S: Into<String>> From<(P, S)> for Key {
    fn from((partition, sort): (P, S)) -> Self {
        Self::new(partition, sort)
    }
}

/// The version of an item or object: opaque text, and unique for each write.
///
/// A version does not return after a delete and a new create of the same key. On S3 alone the version of an object is the
/// version of its content: two writes of equal content have the same one. Versions of two providers cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// For adapters: a version of the service as text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to store it or to send it as an `ETag`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Rejects text that is longer than a version of any service, because a request may not have space for it. Errors:
    /// `Conflict`.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.len() {
            ..=LONGEST_VERSION => Ok(()),
            size => Err(Error::conflict(format!("no version has {size} bytes; pass the version of a read or a write"))),
        }
    }
}

/// The largest size of a version in bytes. Adapters make versions of up to about 110.
const LONGEST_VERSION: usize = 1_024;

/// The condition of a write, for items and for objects.
///
/// An expired item counts as absent. Of many creates or updates at the same time, one succeeds. A driver must return
/// [`Error::unknown_variant`] for a mode that it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutMode {
    /// Write always, and replace the stored value.
    #[default]
    Overwrite,
    /// Write only if nothing is stored; otherwise `AlreadyExists`.
    Create,
    /// Write only if this version is stored; otherwise `Conflict`, also if nothing is stored.
    Update(Version),
}

/// The options of a write of an item: a condition and a time to live.
///
/// ```
/// use std::time::Duration;
/// use isobar_abstraction::key_value::{PutMode, PutOptions};
/// let options = PutOptions::from(PutMode::Create).with_ttl(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// The condition of the write.
    pub mode: PutMode,
    /// The time to live of the item; `None` for no expiry.
    ///
    /// After it no read returns the item, on any provider. A service may store it longer, some without end: see
    /// [`Profile::ttl_lag`](crate::profile::Profile::ttl_lag).
    pub ttl: Option<Duration>,
}

impl PutOptions {
    /// Sets the time to live, rounded up to milliseconds. It must be more than zero and end before the year 10000.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

impl From<PutMode> for PutOptions {
    fn from(mode: PutMode) -> Self {
        Self { mode, ttl: None }
    }
}
