//! Lists of objects for apps.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Blob, ListRequest, Listing, ObjectInfo, key};
use crate::access::Access;
use crate::cursor::Position;
use crate::handle::Resource;
use crate::{Error, Result};

/// The position in a list after a page: opaque text that is safe in a URL.
///
/// It does not expire, works while others write, and is valid on the provider that returned it. In JSON it is a string.
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

    /// Errors: `InvalidInput` if the text is not a cursor of a list of objects.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage {
    /// The objects, by the UTF-8 bytes of their stored names, which are those of the keys except for
    /// [escaped ones](key).
    pub objects: Vec<ObjectInfo>,
    /// The groups of a [delimited](ListQuery::delimited) list: the beginnings of keys up to and including the delimiter.
    pub prefixes: Vec<String>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<ListCursor>,
}

/// A list of a bucket, from [`Bucket::list`](super::Bucket::list). Without further methods it returns all objects with the
/// prefix, 1,000 on a page.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use isobar_abstraction::Cloud;
/// let pages = Cloud::memory().bucket("pages");
/// for key in ["a.html", "img/1.png", "img/2.png", "z.html"] {
///     pages.put(key, "x").await?;
/// }
/// let folders = pages.list("").delimited();
/// let first = folders.clone().limit(2).page().await?;
/// assert_eq!((first.objects[0].key.as_str(), first.prefixes), ("a.html", vec!["img/".to_owned()]));
/// let second = folders.after(first.next).page().await?;
/// assert_eq!((second.objects[0].key.as_str(), second.next), ("z.html", None));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
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

    /// Groups keys by the next `/` after the prefix, like folders.
    pub fn delimited(mut self) -> Self {
        self.delimited = true;
        self
    }

    /// Sets the largest number of objects and groups on a page, 1,000 by default; 0 counts as 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Continues after another page of the same list; `None` is the first page.
    pub fn after(mut self, cursor: impl Into<Option<ListCursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// Reads one page. It can contain fewer entries than the limit, or none, before the end: check [`ListPage::next`].
    ///
    /// Errors: `InvalidInput` for a cursor of another kind of list or, on Azure, of another provider.
    pub async fn page(&self) -> Result<ListPage> {
        let Self { resource, prefix, delimited, limit, after } = self;
        let request = ListRequest {
            prefix: key::encode_prefix(prefix),
            delimiter: delimited.then(|| "/".to_owned()),
            limit: *limit,
            after: after.as_ref().map(|cursor| cursor.0.0.clone()),
        };
        let list = async |driver: &Arc<dyn Blob>| driver.list(&request).await?.readable();
        let Listing { objects, prefixes, resume, .. } = resource.run("list", Access::Read, list).await?;
        let objects = objects.iter().map(ObjectInfo::new);
        let prefixes = prefixes.iter().map(|stored| key::decode_prefix(stored));
        Ok(ListPage {
            objects: objects.filter(|info| info.key.starts_with(prefix.as_str())).collect(),
            prefixes: prefixes.filter(|group| group.starts_with(prefix.as_str())).collect(),
            next: resume.map(|position| ListCursor(Position(position))),
        })
    }

    /// Reads the objects of all pages into memory. Use it only for lists that are known to be short. Groups are not part
    /// of the result.
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
