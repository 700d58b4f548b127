//! Buckets of objects: [`Bucket`] is the type for apps.
//!
//! The contract is what S3, Blob Storage, Cloud Storage and a folder have in common: whole objects with attributes,
//! conditions on versions, lists by prefix, and signed URLs. Reads and writes use [`object_store`] below, so an adapter and
//! a library of the ecosystem share one trait.

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

/// A URL that contains its permission. It is a secret until it expires; `Debug` does not contain the signature.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedUrl {
    /// The URL with its signature.
    pub url: String,
    /// The headers that the request must have: one for PUT on Azure, otherwise none.
    pub headers: BTreeMap<String, String>,
}

impl SignedUrl {
    /// For adapters: a URL without headers.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: BTreeMap::new() }
    }

    /// For adapters: adds a header that the request must have.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = self.url.split('?').next().unwrap_or_default();
        write!(f, "SignedUrl({unsigned}?…)")
    }
}

/// The options of a write of an object: condition, content type, cache control and metadata.
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
    /// The condition of the write.
    pub mode: PutMode,
    /// The media type of the object: printable ASCII.
    pub content_type: Option<String>,
    /// The header `cache-control` with which the object is served: printable ASCII.
    pub cache_control: Option<String>,
    /// User metadata. Names consist of a-z, 0-9 and `_` and begin with a letter; values are printable ASCII; all together
    /// have at most 2,000 bytes.
    pub metadata: BTreeMap<String, String>,
}

impl PutOptions {
    /// Sets the media type of the object.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Sets the header `cache-control` with which the object is served.
    #[must_use]
    pub fn with_cache_control(mut self, cache_control: impl Into<String>) -> Self {
        self.cache_control = Some(cache_control.into());
        self
    }

    /// Adds a name and a value to the user metadata.
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
