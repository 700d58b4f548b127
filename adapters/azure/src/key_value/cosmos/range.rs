//! Queries of one partition by range of the sort key.

use std::ops::Bound;

use isobar_abstraction::Result;
use isobar_abstraction::driver::key_value::{Items, QueryRange};

use super::CosmosKeyValue;
use super::key::stored_sort;
use super::read::{Feed, Sql};

/// Items that one page is asked for, at most. Cosmos DB ends a page at 4 MB anyway.
pub(super) const MOST_ITEMS: usize = 1_000;

impl CosmosKeyValue {
    /// One page. Where it ended is told by the last sort key: a continuation would be read by no other
    /// provider, and one that is a mere count would skip items after a delete.
    pub(super) async fn query_items(&self, range: &QueryRange) -> Result<Items> {
        let sql = sql(range);
        let most = range.limit.clamp(1, MOST_ITEMS);
        let mut after = None;
        loop {
            let page = self.run(&range.partition, &sql, most, after.as_deref()).await?;
            let found = page.read::<Feed>()?.items;
            let continuation = page.continuation().map(str::to_owned);
            // A page may be empty although there is more: the time of one request was used up.
            if found.is_empty() && continuation.is_some() {
                after = continuation;
                continue;
            }
            let now = self.clock.now();
            let mut items = Items::default();
            let more = continuation.is_some() || found.len() >= most;
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
        // Of all that may stand in `s`, only strings are compared with one.
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
