//! Queries and scans as apps write them.

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

/// Where a query or scan left off: opaque text that is safe in a URL.
///
/// It may be kept for as long as you like, and used while others insert and delete: what was there
/// all the time is returned once. The cursor of a query works on every provider.
///
/// In JSON and in the query of a URL it is its text: a reply may hold the `next` of a page, and a request the `after`.
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

    /// Errors: `InvalidInput` where the text is not one that a cursor of such a list printed.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// An item with its typed value, as apps read it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T> {
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: T,
    /// Its version, for [`PutMode::Update`](super::PutMode::Update).
    pub version: Version,
    /// When it expires.
    pub expires_at: Option<SystemTime>,
}

impl<T: DeserializeOwned + 'static> Entry<T> {
    pub(super) fn decode(item: Item) -> Result<Self> {
        let Item { key, value, version, expires_at } = item;
        // Without its source: the words of serde quote the value.
        let value = json::decode(&value).map_err(|error| {
            let expected = std::any::type_name::<T>();
            let message = format!("the value at `{key}` is not a `{expected}`: {}", error.message());
            // Neither the client nor the arguments are wrong, but what is stored, or the app's type.
            Error::invalid_input(message).with_origin(Origin::Service)
        })?;
        Ok(Self { key, value, version, expires_at })
    }
}

/// Some of the items that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items: with those that are unreadable as many as the limit allows, fewer only at the end.
    pub items: Vec<Entry<T>>,
    /// Items whose value is not a `T`. They stay stored.
    pub unreadable: Vec<Unreadable>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// An item whose value is not of the expected type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Its key.
    pub key: Key,
    /// Why, without the value.
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
    /// The items, where all of them are readable.
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

/// A query of one partition, made by [`Table::query`](super::Table::query).
///
/// All items in ascending order, 1,000 to a page, unless a method says otherwise.
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

    /// Only sort keys that begin with `prefix`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.range.lower = Bound::Included(prefix.to_owned());
        self.range.upper = after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        self
    }

    /// Only sort keys in a range, such as `"2026-01".."2026-02"`, in UTF-8 byte order.
    pub fn range<S: AsRef<str>>(mut self, range: impl RangeBounds<S>) -> Self {
        let owned = |bound: Bound<&S>| bound.map(|sort| sort.as_ref().to_owned());
        (self.range.lower, self.range.upper) = (owned(range.start_bound()), owned(range.end_bound()));
        self
    }

    /// From the last sort key to the first.
    pub fn descending(mut self) -> Self {
        self.range.descending = true;
        self
    }

    /// At most this many items to a page; 0 counts as 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.range.limit = limit.max(1);
        self
    }

    /// Goes on where another page of the same query ended; `None` is the first page.
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    async fn fetch(&self) -> Result<(Vec<Item>, Option<Cursor>)> {
        let Self { resource, after, .. } = self;
        let mut range = self.range.clone();
        resource.check_partition("query", &range.partition)?;
        leave_out_own(&mut range).map_err(|error| resource.explain("query", error))?;
        if let Some(cursor) = after {
            move_past(&mut range, cursor.0.0.clone());
        }
        let wanted = range.limit;
        let mut items = Vec::new();
        let mut resume = None;
        while !is_empty(&range) {
            range.limit = wanted - items.len();
            let found = resource.run("query", Access::Read, |driver| driver.query(&range)).await?;
            items.extend(found.items);
            resume = found.resume;
            let Some(position) = resume.clone().filter(|_| items.len() < wanted) else { break };
            move_past(&mut range, position);
        }
        let next = resume.filter(|_| !is_empty(&range)).map(|position| Cursor(Position(position)));
        Ok((items, next))
    }
}

impl<T: DeserializeOwned + 'static> Query<T> {
    /// One page. An item whose value is not a `T` is in [`Page::unreadable`].
    ///
    /// Errors: `InvalidInput` where the prefix or an end of the range begins with U+10FFFF U+10FFFF, which is for
    /// isobar's own items.
    pub async fn page(&self) -> Result<Page<T>> {
        let (items, next) = self.fetch().await?;
        Ok(Page::new(items, next))
    }

    /// All pages. Only where the answer is known to be small: it is held in memory.
    ///
    /// Errors: `InvalidInput` where a value is not a `T`.
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

/// Isobar's own items are the last of a partition. Errors: `InvalidInput` for a range that asks for them.
fn leave_out_own(range: &mut QueryRange) -> Result<()> {
    let end = Bound::Excluded(OWN.to_owned());
    if range.upper == Bound::Unbounded {
        range.upper = end.clone();
    }
    // A prefix may end where they begin.
    let upper = Some(&range.upper).filter(|upper| **upper != end);
    for bound in [&range.lower].into_iter().chain(upper) {
        if let Bound::Included(sort) | Bound::Excluded(sort) = bound {
            check_sort(sort)?;
        }
    }
    Ok(())
}

/// Leaves out what a page before has returned. A cursor from elsewhere never widens the range.
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

/// No sort key can lie in it. Such ranges never reach a driver, because some services, and
/// `BTreeMap`, take them for a fault.
fn is_empty(range: &QueryRange) -> bool {
    use Bound::{Excluded, Included};
    match (&range.lower, &range.upper) {
        (Included(lower), Included(upper)) => lower > upper,
        (Included(lower) | Excluded(lower), Excluded(upper)) | (Excluded(lower), Included(upper)) => lower >= upper,
        (_, Bound::Unbounded) | (Bound::Unbounded, Included(_)) => false,
        (Bound::Unbounded, Excluded(upper)) => upper.is_empty(),
    }
}

/// The first string after all that begin with `prefix`, where there is one.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        // Scalar values and UTF-8 bytes have the same order; the surrogates are not scalar values.
        let next =
            (u32::from(last) + 1..=0xE000).find_map(char::from_u32).or_else(|| char::from_u32(u32::from(last) + 1));
        if let Some(next) = next {
            head.push(next);
            return Some(head);
        }
    }
    None
}

/// A scan of a whole table, made by [`Table::scan`](super::Table::scan).
///
/// It costs as much as the table is large. For migration, and for small tables.
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

    /// Only one of several disjoint segments, numbered from 0, so that many can work at once.
    pub fn segment(mut self, segment: u32, segments: u32) -> Self {
        (self.segment.segment, self.segment.segments) = (segment, segments);
        self
    }

    /// At most this many items to a page; 0 counts as 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.segment.limit = limit.max(1);
        self
    }

    /// Goes on where another page of the same segment ended, on the same provider; `None` is the first page.
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.segment.after = cursor.into().map(|cursor| cursor.0.0);
        self
    }
}

impl<T: DeserializeOwned + 'static> ScanQuery<T> {
    /// One page; it may hold fewer items than the limit, or none, before the end. An item whose value is
    /// not a `T` is in [`Page::unreadable`].
    ///
    /// Errors: `InvalidInput` where there is no such segment.
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

    /// All pages. Only where the table is known to be small: it is held in memory.
    ///
    /// Errors: `InvalidInput` where a value is not a `T`.
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
    fn the_end_of_a_prefix_is_after_all_that_begin_with_it() {
        assert_eq!(after_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_prefix("\u{FFFF}").as_deref(), Some("\u{10000}"));
        assert_eq!(after_prefix("\u{10FFFF}"), None);
        assert_eq!(after_prefix(""), None);
    }

    #[test]
    fn cursors_survive_text_and_refuse_anything_else() {
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
