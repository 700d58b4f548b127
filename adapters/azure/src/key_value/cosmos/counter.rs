//! Counters: Cosmos DB's increment, and the cases that it does not support.

use http::Method;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::key_value::{Key, KeyValue};
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use serde_json::json;

use super::key::{check_key, id, partition_header};
use super::request::{Ask, Success};
use super::service_error::is_absent;
use super::stored::Found;
use super::{CosmosKeyValue, TRIES};
use crate::profile::PROFILE;
use isobar_rest::attempt::{counter_contention, pause, unique_id, write_back};

impl CosmosKeyValue {
    /// One request, unless the item is not stored as a counter: an absent or expired item becomes a new counter, and a
    /// number past the limit, which is stored as text, is read, added to and written back.
    pub(super) async fn add_item(&self, key: &Key, delta: i64) -> Result<i64> {
        check_key(key)?;
        for attempt in 0..TRIES {
            if let Some(sum) = self.add_natively(key, delta).await? {
                return Ok(sum);
            }
            if let Some(sum) =
                write_back(self, key, delta, self.get(key).await?, PROFILE.limits.counter_max_abs).await?
            {
                return Ok(sum);
            }
            pause(&*self.clock, attempt).await;
        }
        Err(counter_contention(key, TRIES, "write it with `add` only"))
    }

    /// `None` where the item is absent, has expired, or is not a counter that can be incremented. Never repeated where it
    /// may have been applied, which would count twice: then the mark of the stored item may show that it was.
    async fn add_natively(&self, key: &Key, delta: i64) -> Result<Option<i64>> {
        let Some(condition) = condition(delta, PROFILE.limits.counter_max_abs, to_millis(self.clock.now())) else {
            return Ok(None);
        };
        let mark = unique_id()?;
        let operations =
            [json!({"op": "incr", "path": "/v", "value": delta}), json!({"op": "set", "path": "/w", "value": mark})];
        let body = serde_json::to_vec(&json!({"condition": condition, "operations": operations}))?;
        let id = id(&key.sort);
        let ask = Ask::item("PatchItem", Method::PATCH, Safety::Once, &id)
            .with("x-ms-documentdb-partitionkey", partition_header(&key.partition))
            .with_body("application/json", body);
        let error = match self.container.ask(ask).await {
            Ok(Ok(success)) => return sum(&success).map(Some),
            Ok(Err(service_error)) if service_error.status() == 412 || is_absent(&service_error) => return Ok(None),
            Ok(Err(service_error)) => service_error.into(),
            Err(error) => error,
        };
        if error.outcome_unknown()
            && let Ok(Some(found)) = self.read(key).await
            && found.is_marked(&mark)
            && let Some(sum) = found.counter()
        {
            return Ok(Some(sum));
        }
        Err(error)
    }
}

/// The condition of an increment: the counter has not expired, and stays within the limit. Conditions have no
/// parameters, so only numbers are inserted, none larger than a double represents. `None` where no counter can fulfil it.
fn condition(delta: i64, limit: i64, now: u64) -> Option<String> {
    if delta.unsigned_abs() > limit.unsigned_abs() {
        return None;
    }
    let (low, high) = ((-limit).max(-limit - delta), limit.min(limit - delta));
    Some(format!(
        "FROM c WHERE IS_NUMBER(c.v) AND FLOOR(c.v) = c.v AND c.v >= {low} AND c.v <= {high} AND (NOT IS_DEFINED(c.x) OR \
         c.x > {now})"
    ))
}

fn sum(success: &Success) -> Result<i64> {
    let sum = success.read::<Found>().ok().and_then(|found| found.counter());
    let unread = || Error::internal("the counter was incremented, but Cosmos DB did not return an integer");
    sum.ok_or_else(|| unread().with_outcome_unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_selects_live_counters_within_the_limit() {
        let bounds = |delta| {
            condition(delta, 100, 7)
                .map(|text| text["FROM c WHERE IS_NUMBER(c.v) AND FLOOR(c.v) = c.v AND ".len()..].to_owned())
        };
        let lives = "(NOT IS_DEFINED(c.x) OR c.x > 7)";
        assert_eq!(bounds(0), Some(format!("c.v >= -100 AND c.v <= 100 AND {lives}")));
        assert_eq!(bounds(30), Some(format!("c.v >= -100 AND c.v <= 70 AND {lives}")));
        assert_eq!(bounds(-100), Some(format!("c.v >= 0 AND c.v <= 100 AND {lives}")));
        for delta in [101, -101, i64::MAX, i64::MIN] {
            assert_eq!(bounds(delta), None, "{delta}");
        }
    }
}
