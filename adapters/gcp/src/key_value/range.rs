//! Queries of one partition by range of the sort key, and how all queries are run.

use std::ops::Bound;

use isobar_abstraction::driver::key_value::{Items, Key, QueryRange};
use isobar_abstraction::{ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::FirestoreKeyValue;
use super::stored::{Found, Typed};

/// Documents that one request asks for, at most.
const MOST_ITEMS: usize = 300;

/// A place in the order of a query: before the first document with these values, or behind the last.
#[derive(Debug, Serialize)]
pub(super) struct Cursor<'a> {
    values: [Typed<'a>; 1],
    before: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn before(value: Typed<'a>) -> Self {
        Self { values: [value], before: true }
    }

    pub(super) fn behind(value: Typed<'a>) -> Self {
        Self { values: [value], before: false }
    }
}

/// What a query goes through, in which order.
#[derive(Debug)]
pub(super) struct Course<'a> {
    /// The document that the collection is in, after a slash; empty for all collections of that name, wherever they are.
    pub(super) parent: String,
    pub(super) field: &'static str,
    pub(super) descending: bool,
    pub(super) start: Option<Cursor<'a>>,
    pub(super) end: Option<Cursor<'a>>,
    pub(super) limit: usize,
}

/// An element of the answer; one that only tells how far the reading is has no document.
#[derive(Debug, Deserialize)]
struct Part {
    document: Option<Found>,
}

impl FirestoreKeyValue {
    /// One page. `position` is that of an item and its document's place, behind which the next page goes on. Firestore
    /// sets no limit to an answer, and our client does: then fewer are asked for.
    ///
    /// Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/StructuredQuery>.
    pub(super) async fn page(&self, course: Course<'_>, position: impl Fn(&Key, &str) -> String) -> Result<Items> {
        let Course { parent, field, descending, start, end, limit } = course;
        let direction = if descending { "DESCENDING" } else { "ASCENDING" };
        let mut query = json!({"structuredQuery": {
            "from": [{"collectionId": self.collection, "allDescendants": parent.is_empty()}],
            "orderBy": [{"field": {"fieldPath": field}, "direction": direction}],
        }});
        for (name, cursor) in [("startAt", start), ("endAt", end)] {
            if let Some(cursor) = cursor {
                query["structuredQuery"][name] = serde_json::to_value(cursor)?;
            }
        }
        let mut limit = limit.clamp(1, MOST_ITEMS);
        let parts = loop {
            query["structuredQuery"]["limit"] = limit.into();
            match self.stream::<Part>("RunQuery", ":runQuery", &parent, &query).await {
                Err(error) if error.kind() == ErrorKind::TooLarge && limit > 1 => {
                    limit = limit.div_ceil(2);
                }
                parts => break parts?,
            }
        };
        let found: Vec<_> = parts.into_iter().filter_map(|part| part.document).collect();
        let (more, now) = (found.len() >= limit, self.clock.now());
        let mut items = Items::default();
        for found in found {
            let key = found.key(&self.collection)?;
            items.resume = more.then(|| position(&key, found.place()));
            items.items.extend(found.into_item(key, now)?);
        }
        Ok(items)
    }
}

/// Where a query of a range begins and ends, in its order.
pub(super) fn ends<'a>(range: &'a QueryRange) -> (Option<Cursor<'a>>, Option<Cursor<'a>>) {
    let (first, last) = match range.descending {
        false => (&range.lower, &range.upper),
        true => (&range.upper, &range.lower),
    };
    // Before a document that is part of the range it begins, and behind one it ends.
    let cursor = |bound: &'a Bound<String>, begins: bool| {
        let (sort, before) = match bound {
            Bound::Included(sort) => (sort, begins),
            Bound::Excluded(sort) => (sort, !begins),
            Bound::Unbounded => return None,
        };
        Some(Cursor { values: [Typed::Text(sort)], before })
    };
    (cursor(first, true), cursor(last, false))
}
