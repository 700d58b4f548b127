//! Queries of one partition by range of the sort key.

use std::ops::Bound;

use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Items, QueryRange};

use super::CosmosKeyValue;
use super::key::stored_sort;
use super::read::{Feed, Sql};

/// The most items on one page. Cosmos DB ends a page at 4 MB anyway.
pub(super) const PAGE_ITEMS: usize = 1_000;

impl CosmosKeyValue {
    /// One page. Its cursor is the last sort key: another provider could not read a continuation, and one that is a
    /// count would skip items after a delete.
    pub(super) async fn query_items(&self, range: &QueryRange) -> Result<Items> {
        let sql = sql(range);
        let limit = range.limit.clamp(1, PAGE_ITEMS);
        let mut after = None;
        loop {
            let page = self.run(&range.partition, &sql, limit, after.as_deref()).await?;
            let found = page.read::<Feed>()?.items;
            let continuation = page.continuation().map(str::to_owned);
            // A page may be empty before the end: the time limit of the request was reached.
            if found.is_empty() && continuation.is_some() {
                after = continuation;
                continue;
            }
            let now = self.clock.now();
            let mut items = Items::default();
            let more = continuation.is_some() || found.len() >= limit;
            for found in found {
                let key = found.key()?;
                items.resume = Some(key.sort.clone()).filter(|_| more);
                items.items.extend(found.into_item(key, now)?);
            }
            return Ok(items);
        }
    }
}

fn sql(range: &QueryRange) -> Sql {
    let (from, lower) = match &range.lower {
        Bound::Included(lower) => (">=", lower.as_str()),
        Bound::Excluded(lower) => (">", lower.as_str()),
        // The comparison with a string excludes items whose `s` is another type.
        Bound::Unbounded => (">=", ""),
    };
    let (to, upper) = match &range.upper {
        Bound::Included(upper) => (" AND c.s <= @upper", Some(upper)),
        Bound::Excluded(upper) => (" AND c.s < @upper", Some(upper)),
        Bound::Unbounded => ("", None),
    };
    let order = if range.descending { "DESC" } else { "ASC" };
    let sql = Sql::new(format!("SELECT * FROM c WHERE c.p = @p AND c.s {from} @lower{to} ORDER BY c.s {order}"));
    let sql = sql.with("@p", range.partition.as_str()).with("@lower", stored_sort(lower));
    match upper {
        Some(upper) => sql.with("@upper", stored_sort(upper)),
        None => sql,
    }
}
