//! Queries of one partition by range of the sort key.

use std::ops::Bound;

use isobar_abstraction::key_value::{Items, QueryRange};
use isobar_abstraction::{ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::FirestoreKeyValue;
use super::stored::{Found, Typed, parent};

/// Documents that one request asks for, at most.
pub(super) const MOST_ITEMS: usize = 300;

/// `runQuery`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunQuery<'a> {
    structured_query: StructuredQuery<'a>,
}

/// Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/StructuredQuery>.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StructuredQuery<'a> {
    from: [Selector<'a>; 1],
    order_by: [Order; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<Cursor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Option<Cursor<'a>>,
    limit: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'a> {
    collection_id: &'a str,
    all_descendants: bool,
}

#[derive(Debug, Serialize)]
struct Order {
    field: Field,
    direction: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Field {
    field_path: &'static str,
}

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
    pub(super) collection: &'a str,
    /// All collections of that name, wherever they are?
    pub(super) everywhere: bool,
    pub(super) field: &'static str,
    pub(super) descending: bool,
}

impl<'a> RunQuery<'a> {
    pub(super) fn new(course: &Course<'a>, start: Option<Cursor<'a>>, end: Option<Cursor<'a>>, limit: usize) -> Self {
        let direction = if course.descending { "DESCENDING" } else { "ASCENDING" };
        let structured_query = StructuredQuery {
            from: [Selector { collection_id: course.collection, all_descendants: course.everywhere }],
            order_by: [Order { field: Field { field_path: course.field }, direction }],
            start_at: start,
            end_at: end,
            limit,
        };
        Self { structured_query }
    }

    /// Half as many documents. False where there is no half.
    fn halve(&mut self) -> bool {
        let limit = &mut self.structured_query.limit;
        let halved = *limit > 1;
        *limit = limit.div_ceil(2);
        halved
    }
}

/// An element of the answer; one that only tells how far the reading is has no document.
#[derive(Debug, Deserialize)]
struct Part {
    document: Option<Found>,
}

/// Documents, and whether there may be more.
pub(super) struct Documents {
    pub(super) found: Vec<Found>,
    pub(super) more: bool,
}

impl FirestoreKeyValue {
    /// One page. Firestore sets no limit to an answer, and our client does: then fewer are asked for.
    pub(super) async fn run(&self, parent: &str, mut query: RunQuery<'_>) -> Result<Documents> {
        loop {
            match self.stream::<Part>("RunQuery", ":runQuery", parent, &query).await {
                Err(error) if matches!(error.kind(), ErrorKind::TooLarge { .. }) && query.halve() => {}
                Err(error) => return Err(error),
                Ok(parts) => {
                    let found: Vec<_> = parts.into_iter().filter_map(|part| part.document).collect();
                    let more = found.len() >= query.structured_query.limit;
                    return Ok(Documents { found, more });
                }
            }
        }
    }

    /// One page. Where it ended is told by the last sort key, which every provider understands.
    pub(super) async fn query_items(&self, range: &QueryRange) -> Result<Items> {
        let parent = format!("/{}", parent(&self.collection, &range.partition)?);
        let (start, end) = ends(range);
        let course =
            Course { collection: &self.collection, everywhere: false, field: "s", descending: range.descending };
        let query = RunQuery::new(&course, start, end, range.limit.clamp(1, MOST_ITEMS));
        let Documents { found, more } = self.run(&parent, query).await?;
        let now = self.clock.now();
        let mut items = Items::default();
        for found in found {
            let key = found.key(&self.collection)?;
            items.resume = Some(key.sort.clone()).filter(|_| more);
            items.items.extend(found.into_item(key, now)?);
        }
        Ok(items)
    }
}

fn ends(range: &QueryRange) -> (Option<Cursor<'_>>, Option<Cursor<'_>>) {
    let (first, last) = match range.descending {
        false => (&range.lower, &range.upper),
        true => (&range.upper, &range.lower),
    };
    let start = match first {
        Bound::Included(sort) => Some(Cursor::before(Typed::Text(sort))),
        Bound::Excluded(sort) => Some(Cursor::behind(Typed::Text(sort))),
        Bound::Unbounded => None,
    };
    let end = match last {
        Bound::Included(sort) => Some(Cursor::behind(Typed::Text(sort))),
        Bound::Excluded(sort) => Some(Cursor::before(Typed::Text(sort))),
        Bound::Unbounded => None,
    };
    (start, end)
}
