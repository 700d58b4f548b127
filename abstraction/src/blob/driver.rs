//! What an object service is to the portable types: the trait that an adapter implements, and its types.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::{Attribute, ObjectStore};

use super::SignedUrl;
#[cfg(doc)]
use super::key;
use crate::Result;

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

/// A list request, as a driver gets it. Names are stored names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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

impl ListRequest {
    /// The first page of all names that begin with `prefix`, without groups.
    pub fn new(prefix: impl Into<String>, limit: usize) -> Self {
        Self { prefix: prefix.into(), delimiter: None, limit, after: None }
    }

    /// Groups names by this.
    #[must_use]
    pub fn with_delimiter(mut self, delimiter: impl Into<String>) -> Self {
        self.delimiter = Some(delimiter.into());
        self
    }

    /// The page after the one whose [`Listing::resume`] this is.
    #[must_use]
    pub fn with_after(mut self, after: impl Into<Option<String>>) -> Self {
        self.after = after.into();
        self
    }
}

/// What a driver answers to a list request.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Objects, in byte order of their stored names.
    pub objects: Vec<object_store::ObjectMeta>,
    /// Groups, delimiter included, in byte order.
    pub prefixes: Vec<String>,
    /// Set where there may be more: what the driver needs to go on, also while others write.
    pub resume: Option<String>,
}

impl Listing {
    /// These objects and groups, and where there may be more.
    pub fn new(objects: Vec<object_store::ObjectMeta>, prefixes: Vec<String>, resume: Option<String>) -> Self {
        Self { objects, prefixes, resume }
    }
}

/// What a signed URL allows.
///
/// A driver answers [`Error::unknown_variant`](crate::Error::unknown_variant) to what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignedAccess {
    /// Reading the object with GET.
    Get,
    /// Writing the object with PUT.
    Put,
}

/// A request for a signed URL, as a driver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignRequest {
    /// The stored name.
    pub stored: String,
    /// What is allowed.
    pub access: SignedAccess,
    /// For how long.
    pub expires_in: Duration,
}

impl SignRequest {
    /// A request to allow this for so long.
    pub fn new(stored: impl Into<String>, access: SignedAccess, expires_in: Duration) -> Self {
        Self { stored: stored.into(), access, expires_in }
    }
}
