//! [`Blob`]: the trait that an adapter of an object service implements, and its types.
//!
//! Reads and writes use [`object_store`], which many libraries accept. Lists and signed URLs are methods here: the trait has
//! no prefix that is not a folder, no page with a cursor and no signature.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::{Attribute, ObjectStore};

use super::SignedUrl;
#[cfg(doc)]
use super::key;
use crate::{Error, Result};

/// An object service: the trait that an adapter implements.
///
/// Reads, writes, copies and deletes use the trait of [`object_store`]. Implementers must keep its contract, and also:
/// - must support `PutMode::{Overwrite, Create, Update}`, where the version of an update is the `e_tag` of an earlier
///   result;
/// - must store content type, cache control, content disposition, encoding and language, and user metadata;
/// - must return an isobar error of the kind `InvalidInput` for a range that begins after the end, and must cut one that
///   ends after it;
/// - must make a write visible completely or not at all, also if the caller drops the future;
/// - must apply the [`WriteCondition`] in `PutMultipartOptions::extensions`, or return `NotSupported` before a part is
///   visible, and state that in [`Profile::conditional_multipart`](crate::profile::Profile::conditional_multipart);
/// - must return an `e_tag` that is unique for each write of a key. S3 alone cannot: its `e_tag` is a hash, which writes
///   of equal content share, so `Update` compares contents there and not writes
///   ([S3](https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html));
/// - must return isobar errors as the source of the errors of `object_store`, by `Into`, with `NotFound` of the origin
///   `Data` for a missing object and of `Service` for a missing bucket;
/// - must send an object event for each write and delete, where the provider is its own event source.
///
/// Paths are *stored names*: see [`key`].
#[async_trait]
pub trait Blob: fmt::Debug + Send + Sync + 'static {
    /// The store that reads and writes. It must be cheap to return, and must not connect.
    fn object_store(&self) -> Arc<dyn ObjectStore>;

    /// Lists stored names that begin with a prefix, by their UTF-8 bytes. A page can be shorter than the limit, also empty,
    /// before the end. No object is left out: one that isobar cannot read is in [`Listing::unreadable`].
    ///
    /// Errors: `InvalidInput` of the origin `Request` for an `after` that is not a position of this list.
    async fn list(&self, request: &ListRequest) -> Result<Listing>;

    /// Signs a URL that permits one operation on one object until it expires. The lifetime has been checked: 1 second to 7
    /// days. The URL must permit nothing else: no other method, no other object.
    async fn sign(&self, request: &SignRequest) -> Result<SignedUrl>;
}

/// The attributes that are headers of HTTP, with the names of the headers.
pub const STANDARD_HEADERS: [(&str, Attribute); 5] = [
    ("cache-control", Attribute::CacheControl),
    ("content-disposition", Attribute::ContentDisposition),
    ("content-encoding", Attribute::ContentEncoding),
    ("content-language", Attribute::ContentLanguage),
    ("content-type", Attribute::ContentType),
];

/// The condition of a multipart write, in `PutMultipartOptions::extensions`: `object_store` has none for those.
#[derive(Debug, Clone)]
pub struct WriteCondition(pub object_store::PutMode);

/// A request for one page of a list. Names are stored names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListRequest {
    /// The beginning of the names: any text, not a folder.
    pub prefix: String,
    /// Names that contain this after the prefix form a group: the name up to and including it.
    pub delimiter: Option<String>,
    /// The largest number of objects and groups to return; at least 1.
    pub limit: usize,
    /// The [`Listing::resume`] of the previous page; `None` for the first one.
    pub after: Option<String>,
}

impl ListRequest {
    /// The first page of all names that begin with `prefix`, without groups.
    pub fn new(prefix: impl Into<String>, limit: usize) -> Self {
        Self { prefix: prefix.into(), delimiter: None, limit, after: None }
    }

    /// Sets the delimiter of groups.
    #[must_use]
    pub fn with_delimiter(mut self, delimiter: impl Into<String>) -> Self {
        self.delimiter = Some(delimiter.into());
        self
    }

    /// Sets the [`Listing::resume`] of the previous page.
    #[must_use]
    pub fn with_after(mut self, after: impl Into<Option<String>>) -> Self {
        self.after = after.into();
        self
    }
}

/// One page of a list.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The objects, in byte order of their stored names.
    pub objects: Vec<object_store::ObjectMeta>,
    /// The groups with their delimiter, in byte order.
    pub prefixes: Vec<String>,
    /// The position after this page, with which the driver can continue, also while others write; `None` at the end.
    pub resume: Option<String>,
    /// The names, unchanged, of objects of other programs that isobar cannot read, because they are no paths of `object_store`:
    /// `a//b`, `/a`, `a/../b`, and `a/`, which consoles make as a placeholder for a folder.
    pub unreadable: Vec<String>,
}

impl Listing {
    /// A page of objects and groups, and the position after it.
    pub fn new(objects: Vec<object_store::ObjectMeta>, prefixes: Vec<String>, resume: Option<String>) -> Self {
        Self { objects, prefixes, resume, unreadable: Vec::new() }
    }

    /// Adds names of objects that isobar cannot read.
    #[must_use]
    pub fn with_unreadable(mut self, names: Vec<String>) -> Self {
        self.unreadable.extend(names);
        self
    }

    /// The page for apps, which ignore placeholders for folders. Errors: `Internal` for another unreadable name, because the list
    /// would not be complete without it.
    pub fn readable(mut self) -> Result<Self> {
        self.unreadable.retain(|name| !name.ends_with('/'));
        match self.unreadable.first() {
            None => Ok(self),
            Some(name) => Err(Error::internal(format!(
                "the bucket contains `{}`, which isobar did not write and cannot read: rename it, or list another prefix",
                name.escape_debug()
            ))),
        }
    }
}

/// The operation that a signed URL permits.
///
/// A driver must return [`Error::unknown_variant`](crate::Error::unknown_variant) for a variant that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignedAccess {
    /// GET of the object.
    Get,
    /// PUT of the object, which replaces a stored one.
    Put,
}

/// A request for a signed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignRequest {
    /// The stored name of the object.
    pub stored: String,
    /// The operation that the URL permits.
    pub access: SignedAccess,
    /// The lifetime of the URL.
    pub expires_in: Duration,
}

impl SignRequest {
    /// A request for a URL that permits `access` for `expires_in`.
    pub fn new(stored: impl Into<String>, access: SignedAccess, expires_in: Duration) -> Self {
        Self { stored: stored.into(), access, expires_in }
    }
}
