//! Requests of puts and deletes, results of failed conditions, and transactions.

use std::borrow::Cow;

use isobar_abstraction::driver::key_value::{Key, Version, Write, put_of_sum};
use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::{COUNTER_ATTEMPTS, pause, throttled, unique_id};
use isobar_rest::{Safety, ServiceError, mark_uncertain};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, ConditionalCheckFailed, Guard};
use super::counter::UpdateItem;
use super::stored::{ReadItem, StoredItem, StoredKey};
use super::{DynamoKeyValue, TRIES};
use crate::profile::PROFILE;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutItem<'a> {
    pub(super) table_name: &'a str,
    pub(super) item: StoredItem<'a>,
    #[serde(flatten)]
    pub(super) guard: Option<Guard<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteItem<'a> {
    pub(super) table_name: &'a str,
    pub(super) key: StoredKey<'a>,
    #[serde(flatten)]
    pub(super) guard: Option<Guard<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TransactWriteItems<'a> {
    client_request_token: String,
    transact_items: &'a [TransactItem<'a>],
}

#[derive(Debug, Serialize)]
enum TransactItem<'a> {
    Put(PutItem<'a>),
    Delete(DeleteItem<'a>),
    Update(UpdateItem<'a>),
}

/// The additions that DynamoDB cannot do, or whose counters were written in between, by their place among the writes, each with
/// the stored item.
type Refused = Vec<(usize, Option<ReadItem>)>;

#[derive(Debug, Default, Deserialize)]
struct TransactionCanceled {
    #[serde(rename = "CancellationReasons", default)]
    reasons: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reason {
    code: Option<String>,
    message: Option<String>,
    item: Option<ReadItem>,
}

impl DynamoKeyValue {
    /// The result of a write with a service error. `Ok` if an earlier attempt with a lost response wrote the
    /// version that is stored now.
    pub(super) fn settle(
        &self,
        service_error: ServiceError,
        condition: Condition<'_>,
        key: &Key,
        written: Option<&Version>,
    ) -> Result<()> {
        let Some(failed) = ConditionalCheckFailed::of(&service_error) else { return Err(service_error.into()) };
        let stored = failed.item.and_then(|item| item.version(key).ok());
        if stored.is_some() && stored.as_ref() == written {
            return Ok(());
        }
        // The expected version is still stored, so no attempt wrote: its item has expired.
        let unchanged = stored.is_some_and(|stored| condition == Condition::Version(&stored));
        let error = condition.error(key);
        Err(mark_uncertain(error, service_error.uncertain && !unchanged))
    }

    /// One request, unless DynamoDB cannot add to a counter: see [`sum_of_addition`](Self::sum_of_addition).
    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let versions = writes.iter().map(|_| unique_id().map(Version::new)).collect::<Result<Vec<_>>>()?;
        let mut plan: Vec<Cow<'_, Write>> = writes.iter().map(Cow::Borrowed).collect();
        let tries = if writes.iter().any(Write::is_add) { COUNTER_ATTEMPTS } else { TRIES };
        for attempt in 0..tries {
            let items = plan.iter().zip(&versions).zip(writes);
            let items = items.map(|((planned, version), write)| self.transact_item(planned, version, write.is_add()));
            let items = items.collect::<Result<Vec<_>>>()?;
            // The client's attempts have one token and take effect once. After a cancellation, the next
            // transaction needs another token.
            let input = TransactWriteItems { client_request_token: unique_id()?, transact_items: &items };
            match self.call("TransactWriteItems", Safety::Idempotent, &input).await? {
                Ok(_) => return Ok(results(writes, versions)),
                Err(service_error) => {
                    let refused = self.check_cancellation(service_error, writes)?;
                    drop(items);
                    for (place, stored) in refused {
                        plan[place] = Cow::Owned(self.sum_of_addition(&writes[place], stored)?);
                    }
                }
            }
            pause(&*self.clock, attempt).await;
        }
        Err(throttled("other writes of the same items, or throttling, cancelled the transaction in all attempts"))
    }

    /// An addition to an expired item, or to a number of another writer, which may be text, as the put of the sum. DynamoDB
    /// itself adds only to isobar's counters and absent items. The stored item is that of the response: an app that may only
    /// write cannot read it. Errors: `InvalidInput` for an item that is not a counter.
    fn sum_of_addition(&self, write: &Write, stored: Option<ReadItem>) -> Result<Write> {
        let Write::Add { key, delta } = write else { return Err(Error::unknown_variant("Write")) };
        let stored = stored.map(|item| item.into_item(key.clone(), self.clock.now())).transpose()?.flatten();
        put_of_sum(key, *delta, stored, PROFILE.limits.counter_max_abs).map(Write::Put)
    }

    /// `is_add`: a failed condition returns the stored item, for [`sum_of_addition`](Self::sum_of_addition).
    fn transact_item<'a>(&'a self, write: &'a Write, version: &'a Version, is_add: bool) -> Result<TransactItem<'a>> {
        let (table_name, now) = (self.table.as_str(), self.clock.now());
        Ok(match write {
            Write::Put(put) => {
                let guard = Condition::try_from(&put.mode)?.guard(now);
                let guard = if is_add { guard.map(Guard::returning_old) } else { guard };
                TransactItem::Put(PutItem { table_name, item: StoredItem::new(put, version), guard })
            }
            Write::Delete { key, version } => {
                let guard = Condition::from(version.as_ref()).guard(now);
                TransactItem::Delete(DeleteItem { table_name, key: StoredKey::from(key), guard })
            }
            Write::Add { key, delta } => TransactItem::Update(self.addition(key, *delta, version, now)),
            _ => return Err(Error::unknown_variant("Write")),
        })
    }

    /// `Ok` if the transaction was cancelled for a temporary reason or only because of counters, which it returns.
    fn check_cancellation(&self, mut service_error: ServiceError, writes: &[Write]) -> Result<Refused> {
        if service_error.code != "TransactionCanceledException" {
            return Err(service_error.into());
        }
        // If an earlier attempt with a lost response was applied, this one returns its success.
        service_error.uncertain = false;
        let cancellation: TransactionCanceled =
            serde_json::from_slice(service_error.response.body()).unwrap_or_default();
        let code = |reason: &Reason| reason.code.clone().unwrap_or_default();
        let is_empty = cancellation.reasons.is_empty();
        let (unmet, others): (Vec<_>, Vec<_>) = writes
            .iter()
            .enumerate()
            .zip(cancellation.reasons)
            .partition(|(_, reason)| code(reason) == "ConditionalCheckFailed");
        // A failed condition has priority over all other reasons, since a repeat fails again.
        if let Some(((_, write), _)) = unmet.iter().find(|((_, write), _)| !write.is_add()) {
            return Err(Condition::try_from(*write)?.error(write.key()));
        }
        if !unmet.is_empty() {
            return Ok(unmet.into_iter().map(|((place, _), reason)| (place, reason.item)).collect());
        }
        let temporary = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        let permanent = others.into_iter().find(|(_, reason)| !temporary.contains(&code(reason).as_str()));
        match permanent {
            Some((_, reason)) => {
                let message = reason.message.as_deref().unwrap_or_default();
                Err(self.with_table(self.service.error_of_entry(&service_error, code(&reason), message)).into())
            }
            None if is_empty => Err(service_error.into()),
            None => Ok(Refused::new()),
        }
    }
}

fn results(writes: &[Write], versions: Vec<Version>) -> Vec<Option<Version>> {
    let result = |(write, version)| (!matches!(write, &Write::Delete { .. })).then_some(version);
    writes.iter().zip(versions).map(result).collect()
}
