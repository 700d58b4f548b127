//! What puts and deletes send, what came of those that were refused, and transactions.

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

/// Why a transaction may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancelled {
    /// Other writes, or throttling.
    InPassing,
    /// A counter is not what DynamoDB adds to, or was written since.
    ByCounters,
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
    /// What came of a write that was refused. `Ok` where an attempt whose answer was lost wrote the
    /// version that is there now.
    pub(super) fn settle(
        &self,
        service_error: ServiceError,
        condition: Condition<'_>,
        key: &Key,
        ours: Option<&Version>,
    ) -> Result<()> {
        let Some(failed) = ConditionalCheckFailed::of(&service_error) else { return Err(service_error.into()) };
        let stored = failed.item.and_then(|item| item.version(key).ok());
        if stored.is_some() && stored.as_ref() == ours {
            return Ok(());
        }
        // A version that is still there was not written over: its item has expired.
        let untouched = stored.is_some_and(|stored| condition == Condition::Version(&stored));
        let error = condition.broken(key);
        Err(mark_uncertain(error, service_error.uncertain && !untouched))
    }

    /// One request, unless a counter is none that DynamoDB adds to: see [`recount`](Self::recount).
    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let versions = writes.iter().map(|_| unique_id().map(Version::new)).collect::<Result<Vec<_>>>()?;
        let mut planned: Vec<Cow<'_, Write>> = writes.iter().map(Cow::Borrowed).collect();
        let tries = if writes.iter().any(Write::is_add) { COUNTER_ATTEMPTS } else { TRIES };
        for attempt in 0..tries {
            let items = planned.iter().zip(&versions).map(|(write, version)| self.transact_item(write, version));
            let items = items.collect::<Result<Vec<_>>>()?;
            // All attempts of the client have one token, and count once. A cancellation is an
            // answer: what is tried after it is another transaction.
            let input = TransactWriteItems { client_request_token: unique_id()?, transact_items: &items };
            match self.call("TransactWriteItems", Safety::Idempotent, &input).await? {
                Ok(_) => return Ok(answers(writes, versions)),
                Err(service_error) => {
                    if self.check_cancelled(service_error, writes)? == Cancelled::ByCounters {
                        drop(items);
                        planned = self.recount(writes).await?;
                    }
                }
            }
            pause(&*self.clock, attempt).await;
        }
        Err(throttled("other writes of the same items, or throttling, cancelled the transaction every time"))
    }

    /// The same writes, with each addition in the words that fit what is stored: a number of ours, or
    /// nothing, DynamoDB adds to; an item that has expired, and a number that somebody else wrote, as text
    /// perhaps, are written over. Errors: `InvalidInput` for what is no counter.
    async fn recount<'a>(&self, writes: &'a [Write]) -> Result<Vec<Cow<'a, Write>>> {
        let mut planned = Vec::with_capacity(writes.len());
        for write in writes {
            let Write::Add { key, delta } = write else {
                planned.push(Cow::Borrowed(write));
                continue;
            };
            let put = put_of_sum(key, *delta, self.get(key).await?, PROFILE.limits.counter_max_abs)?;
            planned.push(Cow::Owned(Write::Put(put)));
        }
        Ok(planned)
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

    /// `Ok` where the transaction was cancelled for something that passes, or for counters alone.
    fn check_cancelled(&self, mut service_error: ServiceError, writes: &[Write]) -> Result<Cancelled> {
        if service_error.code != "TransactionCanceledException" {
            return Err(service_error.into());
        }
        // Had an attempt whose answer was lost been applied, then this one would have had its success.
        service_error.uncertain = false;
        let cancelled: TransactionCanceled = serde_json::from_slice(service_error.response.body()).unwrap_or_default();
        let code = |reason: &Reason| reason.code.clone().unwrap_or_default();
        let mut reasons = writes.iter().zip(&cancelled.reasons);
        // It outweighs all other reasons: tried again, it would fail again.
        let broken = reasons.clone().filter(|(_, reason)| code(reason) == "ConditionalCheckFailed");
        let (counters, others): (Vec<_>, Vec<_>) = broken.map(|(write, _)| write).partition(|write| write.is_add());
        if let Some(write) = others.first() {
            return Err(Condition::try_from(*write)?.broken(write.key()));
        }
        if !counters.is_empty() {
            return Ok(Cancelled::ByCounters);
        }
        let passes = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        let lasting = reasons.find(|(_, reason)| !passes.contains(&code(reason).as_str()));
        match lasting {
            Some((_, reason)) => {
                let message = reason.message.as_deref().unwrap_or_default();
                Err(self.explained(self.service.error_of_entry(&service_error, code(reason), message)).into())
            }
            None if cancelled.reasons.is_empty() => Err(service_error.into()),
            None => Ok(Cancelled::InPassing),
        }
    }
}

fn answers(writes: &[Write], versions: Vec<Version>) -> Vec<Option<Version>> {
    let answer = |(write, version)| (!matches!(write, &Write::Delete { .. })).then_some(version);
    writes.iter().zip(versions).map(answer).collect()
}
