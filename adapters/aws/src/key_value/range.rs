//! Queries and scans.

use std::ops::Bound;

use bytes::Bytes;
use isobar_abstraction::driver::key_value::{Item, Items, Key, QueryRange, ScanSegment};
use isobar_abstraction::{Error, Origin, Result};
use isobar_rest::Safety;
use serde::{Deserialize, Serialize};

use super::DynamoKeyValue;
use super::key::stored_sort;
use super::stored::{Attribute, ReadItem, StoredKey};
use crate::service::read_json;

/// The most items that one request reads. DynamoDB ends a page at 1 MB in any case, and its `Limit` is an `i32`.
const MOST_ITEMS: usize = 1_000_000;

/// The most segments of a scan. Source: API reference of `Scan`.
const MOST_SEGMENTS: u32 = 1_000_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Query<'a> {
    table_name: &'a str,
    consistent_read: bool,
    key_condition_expression: &'static str,
    expression_attribute_values: Bounds<'a>,
    scan_index_forward: bool,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive_start_key: Option<StoredKey<'a>>,
}

#[derive(Debug, Serialize)]
struct Bounds<'a> {
    #[serde(rename = ":partition")]
    partition: Attribute<'a>,
    #[serde(rename = ":lower", skip_serializing_if = "Option::is_none")]
    lower: Option<Attribute<'a>>,
    #[serde(rename = ":upper", skip_serializing_if = "Option::is_none")]
    upper: Option<Attribute<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Scan<'a> {
    table_name: &'a str,
    consistent_read: bool,
    segment: u32,
    total_segments: u32,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive_start_key: Option<StoredKey<'a>>,
}

/// The response to a query or scan.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    #[serde(default)]
    items: Vec<ReadItem>,
    last_evaluated_key: Option<ReadItem>,
}

/// The unexpired items of one response.
struct LivePage {
    items: Vec<Item>,
    expired: usize,
    /// The last key that was live at, where there may be more behind it.
    position: Option<Key>,
}

impl DynamoKeyValue {
    pub(super) async fn query_items(&self, range: &QueryRange) -> Result<Items> {
        let mut page = Items::default();
        if is_empty(range) {
            return Ok(page);
        }
        let (near, far) = if range.descending { (&range.upper, &range.lower) } else { (&range.lower, &range.upper) };
        let mut after = excluded(near).map(str::to_owned);
        let mut limit = range.limit;
        loop {
            let live = self.query_page(range, after.as_deref(), limit).await?;
            let within = |item: &Item| excluded(far) != Some(item.key.sort.as_str());
            page.items.extend(live.items.into_iter().filter(within));
            page.resume = live.position.map(|key| key.sort);
            if page.items.len() > range.limit {
                page.items.truncate(range.limit);
                page.resume = page.items.last().map(|item| item.key.sort.clone());
            }
            if page.items.len() == range.limit || page.resume.is_none() || live.expired == 0 {
                return Ok(page);
            }
            // With a small limit, many expired items would need one request each.
            limit = limit.saturating_mul(4).max(100);
            after.clone_from(&page.resume);
        }
    }

    /// Reads one page. DynamoDB's condition includes both bounds: the query starts after an excluded first sort key,
    /// and the caller removes an excluded last one.
    async fn query_page(&self, range: &QueryRange, after: Option<&str>, limit: usize) -> Result<LivePage> {
        let end = |bound| end(bound).map(|sort| Attribute::S(stored_sort(sort)));
        let (partition, lower, upper) = (Attribute::text(&range.partition), end(&range.lower), end(&range.upper));
        let input = Query {
            table_name: &self.table,
            consistent_read: true,
            key_condition_expression: match (&lower, &upper) {
                (None, None) => "pk = :partition",
                (Some(_), None) => "pk = :partition AND sk >= :lower",
                (None, Some(_)) => "pk = :partition AND sk <= :upper",
                (Some(_), Some(_)) => "pk = :partition AND sk BETWEEN :lower AND :upper",
            },
            expression_attribute_values: Bounds { partition, lower, upper },
            scan_index_forward: !range.descending,
            limit: limit.min(MOST_ITEMS),
            exclusive_start_key: after.map(|sort| StoredKey::new(&range.partition, sort)),
        };
        let body = self.call("Query", Safety::Read, &input).await??;
        self.look(&body)
    }

    pub(super) async fn scan_items(&self, segment: &ScanSegment) -> Result<Items> {
        let after =
            segment.after.as_deref().map(serde_json::from_str::<Key>).transpose().map_err(|_| foreign_cursor())?;
        if segment.segments > MOST_SEGMENTS {
            return Err(Error::invalid_input(format!("DynamoDB scans in at most {MOST_SEGMENTS} segments"))
                .with_origin(Origin::Request));
        }
        let input = Scan {
            table_name: &self.table,
            consistent_read: true,
            segment: segment.segment,
            total_segments: segment.segments,
            limit: segment.limit.min(MOST_ITEMS),
            exclusive_start_key: after.as_ref().map(StoredKey::from),
        };
        let live = match self.call("Scan", Safety::Read, &input).await? {
            Ok(body) => self.look(&body)?,
            Err(service_error) if after.is_some() && service_error.code == "ValidationException" => {
                return Err(foreign_cursor());
            }
            Err(service_error) => return Err(service_error.into()),
        };
        let resume = live.position.map(|key| serde_json::to_string(&key)).transpose()?;
        Ok(Items::new(live.items, resume))
    }

    fn look(&self, body: &Bytes) -> Result<LivePage> {
        let Output { items, last_evaluated_key } = read_json("DynamoDB", body)?;
        let (count, now) = (items.len(), self.clock.now());
        let item = |mut item: ReadItem| {
            let key = item.key()?;
            item.into_item(key, now)
        };
        let items: Vec<_> = items.into_iter().filter_map(|read| item(read).transpose()).collect::<Result<_>>()?;
        let position = last_evaluated_key.map(|mut key| key.key()).transpose()?;
        Ok(LivePage { expired: count - items.len(), items, position })
    }
}

fn foreign_cursor() -> Error {
    Error::invalid_input("the cursor is not from this segment of this table").with_origin(Origin::Request)
}

fn end(bound: &Bound<String>) -> Option<&str> {
    match bound {
        Bound::Included(sort) | Bound::Excluded(sort) => Some(sort),
        Bound::Unbounded => None,
    }
}

fn excluded(bound: &Bound<String>) -> Option<&str> {
    end(bound).filter(|_| matches!(bound, Bound::Excluded(_)))
}

/// Whether the range is empty, such as one in the wrong order, which DynamoDB rejects.
fn is_empty(range: &QueryRange) -> bool {
    let (Some(lower), Some(upper)) = (end(&range.lower), end(&range.upper)) else { return false };
    lower > upper || (lower == upper && excluded(&range.lower).or(excluded(&range.upper)).is_some())
}
