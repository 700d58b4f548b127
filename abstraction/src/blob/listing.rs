//! Lists of objects as apps ask for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Blob, ListRequest, Listing, ObjectInfo, key};
use crate::access::Access;
use crate::cursor::Position;
use crate::handle::Resource;
use crate::{Error, Result};

/// Where a list left off: opaque text that is safe in a URL, good on the provider that gave it. In JSON and in the query of
/// a URL it is its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListCursor(Position<'l'>);

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ListCursor {
    type Err = Error;

    /// Errors: `InvalidInput` where the text is not one that a cursor of such a list printed.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// Some of the objects that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage {
    /// Objects, in UTF-8 byte order of their keys (of their stored names: see [`key`]).
    pub objects: Vec<ObjectInfo>,
    /// What stands up to and with the delimiter, for the objects that are grouped by it.
    pub prefixes: Vec<String>,
    /// Where to go on; `None` at the end.
    pub next: Option<ListCursor>,
}

/// A list of a bucket, made by [`Bucket::list`](super::Bucket::list): all objects, 1,000 to a page,
/// unless a method says otherwise.
#[derive(Debug, Clone)]
#[must_use = "a list does nothing until `page` or `all` is awaited"]
pub struct ListQuery {
    resource: Resource<dyn Blob>,
    prefix: String,
    delimited: bool,
    limit: usize,
    after: Option<ListCursor>,
}

impl ListQuery {
    pub(super) fn new(resource: Resource<dyn Blob>, prefix: String) -> Self {
        Self { resource, prefix, delimited: false, limit: 1_000, after: None }
    }

    /// Groups what lies below the next `/`, as folders are shown.
    pub fn delimited(mut self) -> Self {
        self.delimited = true;
        self
    }

    /// At most this many objects and groups to a page; 0 counts as 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Goes on where another page of the same list ended; `None` is the first page.
    pub fn after(mut self, cursor: impl Into<Option<ListCursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// One page; it may hold fewer than the limit before the end.
    pub async fn page(&self) -> Result<ListPage> {
        let Self { resource, prefix, delimited, limit, after } = self;
        let request = ListRequest {
            prefix: key::encode_prefix(prefix),
            delimiter: delimited.then(|| "/".to_owned()),
            limit: *limit,
            after: after.as_ref().map(|cursor| cursor.0.0.clone()),
        };
        let Listing { objects, prefixes, resume } =
            resource.run("list", Access::Read, |driver| driver.list(&request)).await?;
        let objects = objects.iter().map(ObjectInfo::new);
        let prefixes = prefixes.iter().map(|stored| key::decode_prefix(stored));
        Ok(ListPage {
            objects: objects.filter(|info| info.key.starts_with(prefix.as_str())).collect(),
            prefixes: prefixes.filter(|group| group.starts_with(prefix.as_str())).collect(),
            next: resume.map(|position| ListCursor(Position(position))),
        })
    }

    /// The objects of all pages. Only where they are known to be few: they are held in memory.
    pub async fn all(self) -> Result<Vec<ObjectInfo>> {
        let mut objects = Vec::new();
        let mut list = self;
        loop {
            let page = list.page().await?;
            objects.extend(page.objects);
            let Some(next) = page.next else { return Ok(objects) };
            list = list.after(next);
        }
    }
}
