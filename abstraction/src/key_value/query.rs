//! Queries and scans for apps.
//!
//! A list has pages and no stream: a handler ends at its deadline, and a cursor is what the next request or message needs
//! to go on.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::str::FromStr;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::check::{OWN, check_sort, is_own};
use super::{Item, Key, KeyValue, QueryRange, ScanSegment, Version};
use crate::access::Access;
use crate::cursor::Position;
use crate::handle::Resource;
use crate::{Error, Origin, Result, json};

/// The position in a query or scan after a page: opaque text that is safe in a URL.
///
/// It does not expire, and works while others insert and delete: an item that was stored all the time is returned
/// exactly once. The cursor of a query is valid on every provider, that of a scan on the provider that returned it. A
/// cursor from a client never makes a query larger than its partition, prefix and range.
///
/// In JSON it is a string: a response can contain the `next` of a page, and a request the `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(Position<'c'>);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// Errors: `InvalidInput` if the text is not a cursor of a query or a scan.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// An item with its typed value, its version and its expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T> {
    /// The key of the item.
    pub key: Key,
    /// The value of the item.
    pub value: T,
    /// The version of the last write, for [`PutMode::Update`](super::PutMode::Update).
    pub version: Version,
    /// The time from which no read returns the item; `None` for no expiry.
    pub expires_at: Option<SystemTime>,
}

impl<T: DeserializeOwned + 'static> Entry<T> {
    pub(super) fn decode(item: Item) -> Result<Self> {
        let Item { key, value, version, expires_at } = item;
        // Without the source: the text of serde quotes the value.
        let value = json::decode(&value).map_err(|error| {
            let expected = std::any::type_name::<T>();
            let message = format!("the value at `{key}` is not a `{expected}`: {}", error.message());
            // The cause is the stored value or the app's type, not the client or the arguments.
            Error::invalid_input(message).with_origin(Origin::Service)
        })?;
        Ok(Self { key, value, version, expires_at })
    }
}

/// One page of a query or a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items. Of a query, together with the unreadable ones, as many as the limit; fewer only on the last page.
    pub items: Vec<Entry<T>>,
    /// Items whose value is not a `T`. They remain stored.
    pub unreadable: Vec<Unreadable>,
    /// The cursor of the next page; `None` at the end.
    pub next: Option<Cursor>,
}

/// An item whose value is not of the expected type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// The key of the item.
    pub key: Key,
    /// The reason with line and column, without the value.
    pub reason: String,
}

impl<T: DeserializeOwned + 'static> Page<T> {
    fn new(found: Vec<Item>, next: Option<Cursor>) -> Self {
        let (mut items, mut unreadable) = (Vec::with_capacity(found.len()), Vec::new());
        for item in found {
            let key = item.key.clone();
            match Entry::decode(item) {
                Ok(entry) => items.push(entry),
                Err(error) => unreadable.push(Unreadable { key, reason: error.message().to_owned() }),
            }
        }
        Self { items, unreadable, next }
    }
}

impl<T> Page<T> {
    /// The items. Errors: `InvalidInput` if one of them is unreadable.
    fn readable(self) -> Result<(Vec<Entry<T>>, Option<Cursor>)> {
        match self.unreadable.first() {
            Some(first) => {
                let message = format!("{}; `page` returns the other items", first.reason);
                Err(Error::invalid_input(message).with_origin(Origin::Service))
            }
            None => Ok((self.items, self.next)),
        }
    }
}

const DEFAULT_LIMIT: usize = 1_000;

/// A query of one partition, from [`Table::query`](super::Table::query).
///
/// Without further methods it returns all items in ascending order of the UTF-8 bytes of their sort keys, 1,000 on a page.
/// The cost grows with the result, not with the table. A read is consistent with all earlier writes of the same process.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use isobar_abstraction::Cloud;
/// let notes = Cloud::memory().table::<u32>("notes");
/// for (sort, value) in [("a/1", 1), ("a/2", 2), ("a/3", 3), ("b/1", 4)] {
///     notes.put(("ada", sort), &value).await?;
/// }
/// let newest = notes.query("ada").prefix("a/").descending().limit(2);
/// let first = newest.page().await?;
/// assert_eq!(first.items.iter().map(|entry| entry.value).collect::<Vec<_>>(), [3, 2]);
///
/// // A client sends the cursor back as text.
/// let cursor = first.next.unwrap().to_string().parse()?;
/// let second = newest.clone().after(Some(cursor)).page().await?;
/// assert_eq!((second.items[0].value, second.next), (1, None));
/// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a query does nothing until `page` or `all` is awaited"]
pub struct Query<T> {
    resource: Resource<dyn KeyValue>,
    range: QueryRange,
    after: Option<Cursor>,
    value: PhantomData<fn() -> T>,
}

impl<T> Query<T> {
    pub(super) fn new(resource: Resource<dyn KeyValue>, partition: String) -> Self {
        let (lower, upper) = (Bound::Unbounded, Bound::Unbounded);
        let range = QueryRange { partition, lower, upper, descending: false, limit: DEFAULT_LIMIT };
        Self { resource, range, after: None, value: PhantomData }
    }

    /// Returns only items whose sort keys begin with `prefix`. It replaces an earlier prefix or range.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.range.lower = Bound::Included(prefix.to_owned());
        self.range.upper = after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        self
    }

    /// Returns only items whose sort keys are in a range, such as `"2026-01".."2026-02"`, by UTF-8 bytes. It replaces an
    /// earlier prefix or range.
    pub fn range<S: AsRef<str>>(mut self, range: impl RangeBounds<S>) -> Self {
        let owned = |bound: Bound<&S>| bound.map(|sort| sort.as_ref().to_owned());
        (self.range.lower, self.range.upper) = (owned(range.start_bound()), owned(range.end_bound()));
        self
    }

    /// Reverses the order: from the last sort key to the first. On Table Storage this costs more requests.
    pub fn descending(mut self) -> Self {
        self.range.descending = true;
        self
    }

    /// Sets the number of items on a page, 1,000 by default; 0 counts as 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.range.limit = limit.max(1);
        self
    }

    /// Continues after another page of the same query; `None` is the first page.
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    async fn fetch(&self) -> Result<(Vec<Item>, Option<Cursor>)> {
        let Self { resource, after, .. } = self;
        let mut range = self.range.clone();
        resource.check_partition("query", &range.partition)?;
        exclude_own(&mut range).map_err(|error| resource.explain("query", error))?;
        if let Some(cursor) = after {
            move_past(&mut range, cursor.0.0.clone());
        }
        let limit = range.limit;
        let mut items = Vec::new();
        let mut resume = None;
        while !is_empty(&range) {
            range.limit = limit - items.len();
            let found = resource.run("query", Access::Read, |driver| driver.query(&range)).await?;
            items.extend(found.items);
            resume = found.resume;
            let Some(position) = resume.clone().filter(|_| items.len() < limit) else { break };
            move_past(&mut range, position);
        }
        let next = resume.filter(|_| !is_empty(&range)).map(|position| Cursor(Position(position)));
        Ok((items, next))
    }
}

impl<T: DeserializeOwned + 'static> Query<T> {
    /// Reads one page. Items whose value is not a `T` are in [`Page::unreadable`].
    ///
    /// Errors: `InvalidInput` for an empty partition, and if the prefix or an end of the range begins with U+10FFFF
    /// U+10FFFF, which is reserved for isobar's own items; `TooLarge` for a partition over 256 bytes.
    pub async fn page(&self) -> Result<Page<T>> {
        let (items, next) = self.fetch().await?;
        Ok(Page::new(items, next))
    }

    /// Reads all pages into memory. Use it only for a result that is known to be small.
    ///
    /// Errors: those of [`page`](Self::page); `InvalidInput` if a value is not a `T`.
    pub async fn all(self) -> Result<Vec<Entry<T>>> {
        let mut items = Vec::new();
        let mut query = self;
        loop {
            let (page, next) =
                query.page().await?.readable().map_err(|error| query.resource.explain("query", error))?;
            items.extend(page);
            let Some(next) = next else { return Ok(items) };
            query = query.after(next);
        }
    }
}

/// Excludes isobar's own items, which are the last of a partition. Errors: `InvalidInput` for a range of them.
fn exclude_own(range: &mut QueryRange) -> Result<()> {
    let end = Bound::Excluded(OWN.to_owned());
    if range.upper == Bound::Unbounded {
        range.upper = end.clone();
    }
    // The range of a prefix may end at the first of them.
    let upper = Some(&range.upper).filter(|upper| **upper != end);
    for bound in [&range.lower].into_iter().chain(upper) {
        if let Bound::Included(sort) | Bound::Excluded(sort) = bound {
            check_sort(sort)?;
        }
    }
    Ok(())
}

/// Excludes the items of earlier pages. A cursor of another query never makes the range larger.
fn move_past(range: &mut QueryRange, sort: String) {
    let (end, outside) = match range.descending {
        true => (&mut range.upper, Ordering::Greater),
        false => (&mut range.lower, Ordering::Less),
    };
    match end {
        Bound::Included(limit) | Bound::Excluded(limit) if sort.as_str().cmp(limit) == outside => {}
        end => *end = Bound::Excluded(sort),
    }
}

/// Can no sort key be in the range? Drivers do not receive such ranges, because some services, and `BTreeMap`, reject
/// them.
fn is_empty(range: &QueryRange) -> bool {
    use Bound::{Excluded, Included};
    match (&range.lower, &range.upper) {
        (Included(lower), Included(upper)) => lower > upper,
        (Included(lower) | Excluded(lower), Excluded(upper)) | (Excluded(lower), Included(upper)) => lower >= upper,
        (_, Bound::Unbounded) | (Bound::Unbounded, Included(_)) => false,
        (Bound::Unbounded, Excluded(upper)) => upper.is_empty(),
    }
}

/// The first string after all strings with this prefix; `None` if there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        // Scalar values and their UTF-8 bytes have the same order; surrogates are not scalar values.
        let next =
            (u32::from(last) + 1..=0xE000).find_map(char::from_u32).or_else(|| char::from_u32(u32::from(last) + 1));
        if let Some(next) = next {
            head.push(next);
            return Some(head);
        }
    }
    None
}

/// A scan of a whole table, from [`Table::scan`](super::Table::scan).
///
/// Its cost grows with the table. Use it for migrations and for small tables.
#[derive(Debug, Clone)]
#[must_use = "a scan does nothing until `page` or `all` is awaited"]
pub struct ScanQuery<T> {
    resource: Resource<dyn KeyValue>,
    segment: ScanSegment,
    value: PhantomData<fn() -> T>,
}

impl<T> ScanQuery<T> {
    pub(super) fn new(resource: Resource<dyn KeyValue>) -> Self {
        let segment = ScanSegment { segment: 0, segments: 1, limit: DEFAULT_LIMIT, after: None };
        Self { resource, segment, value: PhantomData }
    }

    /// Reads only segment number `segment` of `segments` disjoint ones, starting at 0. So several tasks can scan in parallel.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use isobar_abstraction::Cloud;
    /// let notes = Cloud::memory().table::<u32>("notes");
    /// notes.put("ada", &1).await?;
    /// notes.put("grace", &2).await?;
    /// let halves = [notes.scan().segment(0, 2).all().await?, notes.scan().segment(1, 2).all().await?];
    /// assert_eq!(halves.concat().len(), 2);
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    pub fn segment(mut self, segment: u32, segments: u32) -> Self {
        (self.segment.segment, self.segment.segments) = (segment, segments);
        self
    }

    /// Sets the largest number of items on a page, 1,000 by default; 0 counts as 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.segment.limit = limit.max(1);
        self
    }

    /// Continues after another page of the same segment, on the same provider; `None` is the first page.
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.segment.after = cursor.into().map(|cursor| cursor.0.0);
        self
    }
}

impl<T: DeserializeOwned + 'static> ScanQuery<T> {
    /// Reads one page. It can contain fewer items than the limit, or none, before the end: check [`Page::next`]. Items
    /// whose value is not a `T` are in [`Page::unreadable`].
    ///
    /// Errors: `InvalidInput` for a segment that does not exist, and for a cursor of another kind.
    pub async fn page(&self) -> Result<Page<T>> {
        let Self { resource, segment, .. } = self;
        if segment.segment >= segment.segments {
            let message = format!("there is no segment {} of {}; they count from 0", segment.segment, segment.segments);
            return Err(resource.explain("scan", Error::invalid_input(message)));
        }
        let mut found = resource.run("scan", Access::Read, |driver| driver.scan(segment)).await?;
        found.items.retain(|item| !is_own(&item.key.sort));
        Ok(Page::new(found.items, found.resume.map(|position| Cursor(Position(position)))))
    }

    /// Reads all pages into memory. Use it only for a table that is known to be small.
    ///
    /// Errors: those of [`page`](Self::page); `InvalidInput` if a value is not a `T`.
    pub async fn all(self) -> Result<Vec<Entry<T>>> {
        let mut items = Vec::new();
        let mut scan = self;
        loop {
            let (page, next) = scan.page().await?.readable().map_err(|error| scan.resource.explain("scan", error))?;
            items.extend(page);
            let Some(next) = next else { return Ok(items) };
            scan = scan.after(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_after_all_strings_that_begin_with_it() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_prefix("\u{FFFF}").as_deref(), Some("\u{10000}"));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn cursors_are_the_same_after_text_and_other_text_is_rejected() {
        let cursor = Cursor(Position("a/b \0ü".to_owned()));
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(
            (json.as_str(), serde_json::from_str::<Cursor>(&json).unwrap()),
            (r#""ca~2Fb~20~00~C3~BC""#, cursor)
        );
        for bad in ["", "x", "c~", "c~zz", "c%2F", "c a"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
