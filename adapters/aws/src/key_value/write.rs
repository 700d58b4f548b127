//! Requests of puts and deletes, results of failed conditions, and transactions.

use std::borrow::Cow;

use isobar_abstraction::driver::key_value::{Key, KeyValue, Version, Write, put_of_sum};
use isobar_abstraction::{Error, Result};
use isobar_rest::attempt::{COUNTER_ATTEMPTS, pause, throttled, unique_id};
use isobar_rest::{Safety, ServiceError, mark_uncertain};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, ConditionalCheckFailed, Guard};
use super::counter::UpdateItem;
use super::stored::{StoredItem, StoredKey};
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

/// The reason to repeat a cancelled transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancellation {
    /// Other writes or throttling.
    Temporary,
    /// DynamoDB cannot add to the stored counter, or it was written in between.
    Counters,
}

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

    /// One request, unless DynamoDB cannot add to a counter: see [`recount`](Self::recount).
    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let versions = writes.iter().map(|_| unique_id().map(Version::new)).collect::<Result<Vec<_>>>()?;
        let mut plan: Vec<Cow<'_, Write>> = writes.iter().map(Cow::Borrowed).collect();
        let tries = if writes.iter().any(Write::is_add) { COUNTER_ATTEMPTS } else { TRIES };
        for attempt in 0..tries {
            let items = plan.iter().zip(&versions).map(|(write, version)| self.transact_item(write, version));
            let items = items.collect::<Result<Vec<_>>>()?;
            // The client's attempts have one token and take effect once. After a cancellation, the next
            // transaction needs another token.
            let input = TransactWriteItems { client_request_token: unique_id()?, transact_items: &items };
            match self.call("TransactWriteItems", Safety::Idempotent, &input).await? {
                Ok(_) => return Ok(results(writes, versions)),
                Err(service_error) => {
                    if self.check_cancellation(service_error, writes)? == Cancellation::Counters {
                        drop(items);
                        plan = self.recount(writes).await?;
                    }
                }
            }
            pause(&*self.clock, attempt).await;
        }
        Err(throttled("other writes of the same items, or throttling, cancelled the transaction in all attempts"))
    }

    /// The same writes, with additions to expired items and to numbers of other writers, which may be text, replaced
    /// by puts of the sum. DynamoDB itself adds only to isobar's counters and absent items. Errors: `InvalidInput`
    /// for an item that is not a counter.
    async fn recount<'a>(&self, writes: &'a [Write]) -> Result<Vec<Cow<'a, Write>>> {
        let mut plan = Vec::with_capacity(writes.len());
        for write in writes {
            let Write::Add { key, delta } = write else {
                plan.push(Cow::Borrowed(write));
                continue;
            };
            let put = put_of_sum(key, *delta, self.get(key).await?, PROFILE.limits.counter_max_abs)?;
            plan.push(Cow::Owned(Write::Put(put)));
        }
        Ok(plan)
    }

    fn transact_item<'a>(&'a self, write: &'a Write, version: &'a Version) -> Result<TransactItem<'a>> {
        let (table_name, now) = (self.table.as_str(), self.clock.now());
        Ok(match write {
            Write::Put(put) => {
                let guard = Condition::try_from(&put.mode)?.guard(now);
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

    /// `Ok` if the transaction was cancelled for a temporary reason or only because of counters.
    fn check_cancellation(&self, mut service_error: ServiceError, writes: &[Write]) -> Result<Cancellation> {
        if service_error.code != "TransactionCanceledException" {
            return Err(service_error.into());
        }
        // If an earlier attempt with a lost response was applied, this one returns its success.
        service_error.uncertain = false;
        let cancellation: TransactionCanceled =
            serde_json::from_slice(service_error.response.body()).unwrap_or_default();
        let code = |reason: &Reason| reason.code.clone().unwrap_or_default();
        let mut reasons = writes.iter().zip(&cancellation.reasons);
        // A failed condition has priority over all other reasons, since a repeat fails again.
        let unmet = reasons.clone().filter(|(_, reason)| code(reason) == "ConditionalCheckFailed");
        let (counters, others): (Vec<_>, Vec<_>) = unmet.map(|(write, _)| write).partition(|write| write.is_add());
        if let Some(write) = others.first() {
            return Err(Condition::try_from(*write)?.error(write.key()));
        }
        if !counters.is_empty() {
            return Ok(Cancellation::Counters);
        }
        let temporary = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        let permanent = reasons.find(|(_, reason)| !temporary.contains(&code(reason).as_str()));
        match permanent {
            Some((_, reason)) => {
                let message = reason.message.as_deref().unwrap_or_default();
                Err(self.with_table(self.service.error_of_entry(&service_error, code(reason), message)).into())
            }
            None if cancellation.reasons.is_empty() => Err(service_error.into()),
            None => Ok(Cancellation::Temporary),
        }
    }
}

fn results(writes: &[Write], versions: Vec<Version>) -> Vec<Option<Version>> {
    let result = |(write, version)| (!matches!(write, &Write::Delete { .. })).then_some(version);
    writes.iter().zip(versions).map(result).collect()
}
