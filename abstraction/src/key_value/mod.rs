//! Key-value: the type that apps hold is [`Table`].

pub(crate) mod check;
pub(crate) mod driver;
pub(crate) mod own;
mod query;
mod table;
mod transaction;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use check::checked_writes;
pub(crate) use driver::{Item, Items, KeyValue, Put, QueryRange, ScanSegment, Write, put_of_sum, sum_of, with_sums};
pub use query::{Cursor, Entry, Page, Query, ScanQuery, Unreadable};
pub use table::Table;
pub use transaction::Transaction;

use crate::{Error, Result};

/// The key of an item: the partition that it lies in, and its place there.
///
/// Any UTF-8; a partition has 1 to 256 bytes, a sort key 0 to 512. Items of one partition are
/// ordered by sort key and can be written together. Sort keys that begin with U+10FFFF U+10FFFF are isobar's own:
/// apps cannot use them, and a driver stores them like any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Which items lie together.
    pub partition: String,
    /// The order among them; may be empty.
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

/// Partition and sort.
impl<P: Into<String>, S: Into<String>> From<(P, S)> for Key {
    fn from((partition, sort): (P, S)) -> Self {
        Self::new(partition, sort)
    }
}

/// The version of an item or object: opaque, and unique for each write.
///
/// A delete and a new create of the same key never bring an old version back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// For adapters: the service's own version as text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to store it or to send it through an `ETag`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses text that is longer than any service's version: a request might not hold it. Errors: `Conflict`.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.len() {
            ..=LONGEST_VERSION => Ok(()),
            size => Err(Error::conflict(format!("no version has {size} bytes; pass on what a read or a write gave"))),
        }
    }
}

/// In bytes. The longest that an adapter makes is about 110.
const LONGEST_VERSION: usize = 1_024;

/// When a write may happen. For items and for objects alike.
///
/// A driver answers [`Error::unknown_variant`] to a mode that it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutMode {
    /// Always.
    #[default]
    Overwrite,
    /// Only where nothing is stored, else `AlreadyExists`.
    Create,
    /// Only over this version, else `Conflict`.
    Update(Version),
}

/// How an item is written.
///
/// ```
/// use std::time::Duration;
/// use isobar_abstraction::key_value::{PutMode, PutOptions};
/// let options = PutOptions::from(PutMode::Create).with_ttl(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// When the write may happen.
    pub mode: PutMode,
    /// How long the item lives; without it, for ever.
    ///
    /// It is never returned after that, on every provider at once, though a service may keep it
    /// longer: see [`Profile::ttl_lag`](crate::profile::Profile::ttl_lag).
    pub ttl: Option<Duration>,
}

impl PutOptions {
    /// How long the item lives. Milliseconds count, and a part of one counts as a whole.
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
