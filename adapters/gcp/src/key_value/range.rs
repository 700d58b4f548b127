//! Queries: one partition by a range of the sort key, and the requests of all queries.

use std::ops::Bound;

use isobar_abstraction::driver::key_value::{Items, Key, QueryRange};
use isobar_abstraction::{ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::FirestoreKeyValue;
use super::stored::{StoredDocument, TypedValue};

/// The maximum number of documents in a response.
const MOST_ITEMS: usize = 300;

/// A position in the order of a query: before the first document with these values, or after the last.
#[derive(Debug, Serialize)]
pub(super) struct Cursor<'a> {
    values: [TypedValue<'a>; 1],
    before: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn before(value: TypedValue<'a>) -> Self {
        Self { values: [value], before: true }
    }

    pub(super) fn after(value: TypedValue<'a>) -> Self {
        Self { values: [value], before: false }
    }
}

/// A query: its collection, order and bounds.
#[derive(Debug)]
pub(super) struct StructuredQuery<'a> {
    /// The document above the collection, after a slash; empty for all collections of this name.
    pub(super) parent: String,
    pub(super) field: &'static str,
    pub(super) descending: bool,
    pub(super) start: Option<Cursor<'a>>,
    pub(super) end: Option<Cursor<'a>>,
    pub(super) limit: usize,
}

/// An element of the response. An element that only reports progress has no document.
#[derive(Debug, Deserialize)]
struct QueryResult {
    document: Option<StoredDocument>,
}

impl FirestoreKeyValue {
    /// One page. `cursor_of` returns the cursor after an item and the path of its document. Firestore does not limit
    /// the size of a response, but isobar's client does: then fewer documents are requested.
    ///
    /// Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/StructuredQuery>.
    pub(super) async fn page(
        &self,
        query: StructuredQuery<'_>,
        cursor_of: impl Fn(&Key, &str) -> String,
    ) -> Result<Items> {
        let StructuredQuery { parent, field, descending, start, end, limit } = query;
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
            match self.stream::<QueryResult>("RunQuery", ":runQuery", &parent, &query).await {
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
            items.resume = more.then(|| cursor_of(&key, found.path()));
            items.items.extend(found.into_item(key, now)?);
        }
        Ok(items)
    }
}

/// The first and the last position of a range, in the order of the query.
pub(super) fn ends<'a>(range: &'a QueryRange) -> (Option<Cursor<'a>>, Option<Cursor<'a>>) {
    let (first, last) = match range.descending {
        false => (&range.lower, &range.upper),
        true => (&range.upper, &range.lower),
    };
    // A range starts before an included document, and ends after one.
    let cursor = |bound: &'a Bound<String>, is_start: bool| {
        let (sort, before) = match bound {
            Bound::Included(sort) => (sort, is_start),
            Bound::Excluded(sort) => (sort, !is_start),
            Bound::Unbounded => return None,
        };
        Some(Cursor { values: [TypedValue::Text(sort)], before })
    };
    (cursor(first, true), cursor(last, false))
}
