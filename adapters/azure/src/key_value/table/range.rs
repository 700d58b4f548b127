//! Queries in ascending order, and scans.

use std::ops::Bound;

use isobar_abstraction::driver::key_value::{Items, QueryRange, ScanSegment};
use isobar_abstraction::{Error, ErrorKind, Origin, Result};
use isobar_rest::object::encode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::TableKeyValue;
use super::key::{partition_key, row_key, segment};
use super::stored::Found;

/// The most rows in one response.
/// Source: <https://learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination>.
pub(super) const MOST_ROWS: usize = 1_000;

/// The service's continuation: keys in an internal form.
pub(super) type Token = (String, Option<String>);

/// One response of the service.
pub(super) struct Rows {
    pub(super) rows: Vec<Found>,
    pub(super) next: Option<Token>,
}

#[derive(Debug, Deserialize)]
struct Output {
    value: Vec<Map<String, Value>>,
}

impl TableKeyValue {
    pub(super) async fn ascending(&self, range: &QueryRange) -> Result<Items> {
        let filter = filter(range, &bytes(&range.lower), &bytes(&range.upper));
        let mut page = Items::default();
        let mut top = range.limit;
        let mut token = None;
        loop {
            let Rows { rows, next } = self.rows(&filter, top, "", token.as_ref()).await?;
            let (now, mut expired, mut position) = (self.now(), false, None);
            let mut rows = rows.into_iter();
            while page.items.len() < range.limit {
                let Some(found) = rows.next() else { break };
                let key = found.key()?;
                position = Some(key.sort.clone());
                if found.tag.is_live(now) {
                    page.items.push(found.into_item(key)?);
                } else {
                    expired = true;
                }
            }
            let more = next.is_some() || rows.next().is_some();
            page.resume = position.filter(|_| more);
            let full = page.items.len() == range.limit;
            // A response may be empty before the end.
            if full || next.is_none() || (page.resume.is_some() && !expired) {
                return Ok(page);
            }
            // With a small limit, many expired items would need a request each.
            top = top.saturating_mul(4).max(100);
            token = next;
        }
    }

    pub(super) async fn scan_items(&self, scan: &ScanSegment) -> Result<Items> {
        let Some((start, end)) = segment(scan.segment, scan.segments) else { return Ok(Items::default()) };
        let token: Option<Token> = match &scan.after {
            Some(text) => Some(serde_json::from_str(text).map_err(|_| foreign_cursor())?),
            None => None,
        };
        let filter = match end {
            Some(end) => format!("PartitionKey ge '{start}' and PartitionKey lt '{end}'"),
            None => format!("PartitionKey ge '{start}'"),
        };
        let limit = self.page_size.items(scan.limit);
        let Rows { rows, next } = match self.rows(&filter, limit, "", token.as_ref()).await {
            Err(error) if error.kind() == ErrorKind::InvalidInput && token.is_some() => return Err(foreign_cursor()),
            rows => rows?,
        };
        let now = self.now();
        let mut items = Vec::new();
        for found in rows {
            let key = found.key()?;
            if found.tag.is_live(now) {
                items.push(found.into_item(key)?);
            }
        }
        self.page_size.learn(&items);
        let resume = next.map(|token| serde_json::to_string(&token)).transpose()?;
        Ok(Items::new(items, resume))
    }

    /// One response: at most `top` rows, with the properties in `select`, or all. Fewer rows where the response would be
    /// larger than the client's limit.
    pub(super) async fn rows(&self, filter: &str, top: usize, select: &str, token: Option<&Token>) -> Result<Rows> {
        let mut top = top.min(MOST_ROWS);
        loop {
            match self.request_rows(filter, top, select, token).await {
                Err(error) if error.kind() == ErrorKind::TooLarge && top > 1 => top = top.div_ceil(8),
                rows => return rows,
            }
        }
    }

    async fn request_rows(&self, filter: &str, top: usize, select: &str, token: Option<&Token>) -> Result<Rows> {
        let mut query = format!("$filter={}&$top={top}", encode(filter));
        if !select.is_empty() {
            query.push_str(&format!("&$select={}", encode(select)));
        }
        if let Some((partition, row)) = token {
            query.push_str(&format!("&NextPartitionKey={}", encode(partition)));
            if let Some(row) = row {
                query.push_str(&format!("&NextRowKey={}", encode(row)));
            }
        }
        let answer = self.requests.query(&query).await??;
        let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let next = header("x-ms-continuation-nextpartitionkey")
            .map(|partition| (partition, header("x-ms-continuation-nextrowkey")));
        let output: Output = super::read(answer.body())?;
        let rows = output.value.into_iter().map(Found::read).collect::<Result<_>>()?;
        Ok(Rows { rows, next })
    }
}

fn foreign_cursor() -> Error {
    Error::invalid_input("the cursor is not from this segment of this table: pass the cursor of the previous page")
        .with_origin(Origin::Request)
}

/// A bound in bytes: between two sort keys there are byte strings that are not UTF-8.
pub(super) fn bytes(bound: &Bound<String>) -> Bound<Vec<u8>> {
    bound.as_ref().map(|sort| sort.as_bytes().to_vec())
}

/// The filter for the rows of the range's partition between two bounds.
pub(super) fn filter(range: &QueryRange, lower: &Bound<Vec<u8>>, upper: &Bound<Vec<u8>>) -> String {
    // The encoded keys contain no quotes.
    let mut filter = format!("PartitionKey eq '{}'", partition_key(&range.partition));
    for (end, included, excluded) in [(lower, "ge", "gt"), (upper, "le", "lt")] {
        let (operator, sort) = match end {
            Bound::Included(sort) => (included, sort),
            Bound::Excluded(sort) => (excluded, sort),
            Bound::Unbounded => continue,
        };
        filter.push_str(&format!(" and RowKey {operator} '{}'", row_key(sort)));
    }
    filter
}
