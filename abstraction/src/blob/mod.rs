//! Blobs: the type that apps hold is [`Bucket`].

mod bucket;
pub(crate) mod driver;
pub(crate) mod flat;
mod guard;
pub mod key;
mod listing;
mod object;
pub(crate) mod pages;

use std::collections::BTreeMap;
use std::fmt;

pub use bucket::{Bucket, Serve};
pub(crate) use driver::{Blob, ListRequest, Listing, STANDARD_HEADERS, SignRequest, SignedAccess, WriteCondition};
pub use listing::{ListCursor, ListPage, ListQuery};
pub use object::{GetOptions, Object, ObjectInfo};

pub use crate::key_value::{PutMode, Version};

/// A URL that carries its own permission. It is a secret until it expires: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// Headers that the request must carry; Azure's PUT wants one.
    pub headers: BTreeMap<String, String>,
}

impl SignedUrl {
    /// For adapters: a URL that needs no headers.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: BTreeMap::new() }
    }

    /// For adapters: a header that the request must carry.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.url.split('?').next().unwrap_or_default();
        write!(f, "SignedUrl({shown}?…)")
    }
}

/// How an object is written.
///
/// ```
/// use isobar_abstraction::blob::{PutMode, PutOptions};
/// let options = PutOptions::from(PutMode::Create)
///     .with_content_type("text/html")
///     .with_metadata("author", "ada");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// When the write may happen.
    pub mode: PutMode,
    /// The object's media type.
    pub content_type: Option<String>,
    /// The `Cache-Control` that the object is served with.
    pub cache_control: Option<String>,
    /// User metadata: names of a-z, 0-9 and `_`, printable ASCII values, 2,000 bytes in all.
    pub metadata: BTreeMap<String, String>,
}

impl PutOptions {
    /// The object's media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The `Cache-Control` that the object is served with.
    #[must_use]
    pub fn with_cache_control(mut self, cache_control: impl Into<String>) -> Self {
        self.cache_control = Some(cache_control.into());
        self
    }

    /// One more piece of user metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}

impl From<PutMode> for PutOptions {
    fn from(mode: PutMode) -> Self {
        Self { mode, ..Self::default() }
    }
}
