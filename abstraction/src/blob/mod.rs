//! Blobs: the driver trait and its types. The type that apps hold is [`Bucket`].

mod bucket;
pub mod flat;
mod guard;
pub mod key;
mod listing;
mod object;
pub mod pages;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::{Attribute, ObjectStore};

pub use bucket::Bucket;
pub use listing::{ListCursor, ListPage, ListQuery};
pub use object::{GetOptions, Object, ObjectInfo};

use crate::Result;
pub use crate::key_value::{PutMode, Version};

/// An object service: the trait that an adapter implements.
///
/// Reading, writing, copying and deleting go through [`object_store`], whose contract an
/// implementer must keep, and beyond it:
/// - all of `PutMode::{Overwrite, Create, Update}`, where the version of an update is the `e_tag`
///   and `version` that an earlier result gave;
/// - content type, cache control, content disposition, encoding and language, and user metadata;
/// - a read of a range that begins behind the end is an isobar error of kind `InvalidInput`, one that runs past the
///   end is cut;
/// - a write is seen whole or not at all, also when the caller drops the future;
/// - a multipart write whose `PutMultipartOptions::extensions` hold a [`WriteCondition`] keeps it,
///   or fails with `NotSupported` before anything is visible;
/// - the `e_tag` is unique for each write of a key. S3 alone has no such thing: its `e_tag` is a hash,
///   which writes of equal content share, so that there `Update` tells contents apart and not writes.
///
/// Paths are *stored names*: see [`key`].
#[async_trait]
pub trait Blob: fmt::Debug + Send + Sync + 'static {
    /// The store that reads and writes.
    fn object_store(&self) -> Arc<dyn ObjectStore>;

    /// Stored names that begin with a prefix, in byte order.
    async fn list(&self, request: &ListRequest) -> Result<Listing>;

    /// A URL that lets its bearer do one thing with one object until it expires.
    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl>;
}

/// The attributes that HTTP has headers for, by their names.
pub const STANDARD_HEADERS: [(&str, Attribute); 5] = [
    ("cache-control", Attribute::CacheControl),
    ("content-disposition", Attribute::ContentDisposition),
    ("content-encoding", Attribute::ContentEncoding),
    ("content-language", Attribute::ContentLanguage),
    ("content-type", Attribute::ContentType),
];

/// What a multipart write must hold to, sent through `PutMultipartOptions::extensions`.
#[derive(Debug, Clone)]
pub struct WriteCondition(pub object_store::PutMode);

/// A list request, as a driver is given it. Names are stored names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// What the names begin with: raw text, not a folder.
    pub prefix: String,
    /// Names that have this after the prefix are grouped under what stands before and with it.
    pub delimiter: Option<String>,
    /// The most objects and groups to answer with; at least 1.
    pub limit: usize,
    /// The [`Listing::resume`] of the page before.
    pub after: Option<String>,
}

/// What a driver answers to a list request.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Objects, in byte order of their stored names.
    pub objects: Vec<object_store::ObjectMeta>,
    /// Groups, delimiter included, in byte order.
    pub prefixes: Vec<String>,
    /// Set where there may be more: what the driver needs to go on, also while others write.
    pub resume: Option<String>,
}

/// What a signed URL allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedAccess {
    /// Reading the object with GET.
    Get,
    /// Writing the object with PUT.
    Put,
}

/// A request for a signed URL, as a driver is given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignRequest {
    /// The stored name.
    pub stored: String,
    /// What is allowed.
    pub access: SignedAccess,
    /// For how long.
    pub expires_in: Duration,
}

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
/// use isobar_abstraction::blob::{PutMode, WriteOptions};
/// let options = WriteOptions::from(PutMode::Create)
///     .with_content_type("text/html")
///     .with_metadata("author", "ada");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// When the write may happen.
    pub mode: PutMode,
    /// The object's media type.
    pub content_type: Option<String>,
    /// The `Cache-Control` that the object is served with.
    pub cache_control: Option<String>,
    /// User metadata: names of a-z, 0-9 and `_`, printable ASCII values, 2,000 bytes in all.
    pub metadata: BTreeMap<String, String>,
}

impl WriteOptions {
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

impl From<PutMode> for WriteOptions {
    fn from(mode: PutMode) -> Self {
        Self { mode, ..Self::default() }
    }
}
