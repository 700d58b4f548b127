//! Transactions: batches of one partition, all or nothing.
//!
//! Source: <https://learn.microsoft.com/azure/cosmos-db/nosql/transactional-batch>.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use http::Method;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version, Write, is_repeatable, with_sums};
use isobar_abstraction::{Error, Origin, Result};
use isobar_rest::{Safety, ServiceError, ServiceResult, mark_uncertain};
use serde::Serialize;
use serde_json::value::RawValue;

use super::key::{check_key, id, partition_header};
use super::request::{Ask, Success};
use super::service_error::{Outcome, is_condition, is_contended};
use super::stored::{Found, REQUEST_BYTES, document, etag_of, tombstone, version};
use super::{CosmosKeyValue, TRIES};
use crate::profile::PROFILE;
use isobar_rest::attempt::{
    COUNTER_ATTEMPTS, already_exists, applied_versions, pause, requires_version, throttled,
    transaction_outcome_unknown, unique_id, version_conflict,
};

/// One write of a batch, as it is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    operation_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_match: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_body: Option<Box<RawValue>>,
}

/// The stored items by sort key; `None` for an absent one.
type StoredItems = HashMap<String, Option<Found>>;

/// The state of a transaction after a service error.
enum Settled {
    /// An earlier attempt, whose response was lost, was applied.
    Applied(Vec<Option<Version>>),
    /// It was not applied: try again with other operations for these items.
    NotApplied(StoredItems),
}

impl CosmosKeyValue {
    /// One request, unless a create finds an expired item, or a delete an absent one: these fail the batch, so the items
    /// are read, and other operations are sent. Counters are read first, and their sums replace the version that was
    /// read: the emulators do not support patch in a batch.
    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let Some(first) = writes.first() else { return Ok(Vec::new()) };
        let mark = unique_id()?;
        let counters: Vec<_> = writes.iter().filter(|write| write.is_add()).collect();
        let tries = if counters.is_empty() { TRIES } else { COUNTER_ATTEMPTS };
        let safety = if is_repeatable(writes) { Safety::Idempotent } else { Safety::Once };
        let (mut stored, mut lost) = (self.read_stored(counters).await?, false);
        for attempt in 0..tries {
            let now = self.clock.now();
            let puts = self.count(writes, &stored, now).map_err(|error| mark_uncertain(error, lost))?;
            let operations =
                puts.iter().map(|write| Operation::of(write, &mark, &stored, now)).collect::<Result<Vec<_>>>();
            let operations = operations.map_err(|error| mark_uncertain(error, lost))?;
            let sent = self.send(&first.key().partition, &operations, safety).await;
            let service_error = match sent.map_err(|error| mark_uncertain(error, lost))? {
                Ok(success) => return answers(&puts, &success),
                Err(service_error) => service_error,
            };
            lost |= service_error.uncertain;
            match self.settle(writes, &mark, service_error, lost).await.map_err(|error| mark_uncertain(error, lost))? {
                Settled::Applied(versions) => return Ok(versions),
                Settled::NotApplied(found) => stored = found,
            }
            pause(&*self.clock, attempt).await;
        }
        Err(mark_uncertain(throttled("other writes of the same items undid the transaction every time"), lost))
    }

    /// The writes, with each addition as the put of its sum. Errors: `InvalidInput` where the item is not a counter.
    fn count<'a>(&self, writes: &'a [Write], stored: &StoredItems, now: SystemTime) -> Result<Vec<Cow<'a, Write>>> {
        let item = |key: &Key| match stored.get(&key.sort) {
            Some(Some(found)) => found.clone().into_item(key.clone(), now),
            _ => Ok(None),
        };
        with_sums(writes, PROFILE.limits.counter_max_abs, item)
    }

    /// Decides what follows a service error. `lost`: an attempt may have been applied. Errors: the reason why the
    /// transaction will never be applied.
    async fn settle(&self, writes: &[Write], mark: &str, service_error: ServiceError, lost: bool) -> Result<Settled> {
        let adds = writes.iter().any(Write::is_add);
        if adds && !lost && is_contended(&service_error) {
            return self.read_stored(writes).await.map(Settled::NotApplied);
        }
        let failed = service_error.write.filter(|_| is_condition(&service_error)).and_then(|at| writes.get(at));
        let Some(failed) = failed else { return Err(service_error.into()) };
        let is_final = requires_version(failed);
        if is_final && !lost {
            return Err(version_conflict(failed.key()));
        }
        let found = self.read_stored(writes).await?;
        let ours = |key: &Key| {
            let marked = found.get(&key.sort)?.as_ref().filter(|found| found.is_marked(mark));
            marked.map(Found::version)
        };
        match applied_versions(writes, mark, &ours) {
            Some(versions) => versions.map(Settled::Applied),
            None if is_final => Err(version_conflict(failed.key())),
            None if lost && adds => Err(transaction_outcome_unknown()),
            None => Ok(Settled::NotApplied(found)),
        }
    }

    async fn send(&self, partition: &str, operations: &[Operation], safety: Safety) -> Result<ServiceResult<Success>> {
        let body = serde_json::to_vec(operations)?;
        if body.len() as u64 > REQUEST_BYTES {
            return Err(Error::too_large("the transaction in Cosmos DB's JSON", body.len() as u64, REQUEST_BYTES)
                .with_origin(Origin::Request));
        }
        let ask = Ask::items("TransactionalBatch", Method::POST, safety)
            .in_session()
            .with("x-ms-documentdb-partitionkey", partition_header(partition))
            .with("x-ms-cosmos-is-batch-request", "True")
            .with("x-ms-cosmos-batch-atomic", "True")
            .with("x-ms-cosmos-batch-continue-on-error", "False")
            .with_body("application/json", body);
        self.container.ask(ask).await
    }

    /// The stored items at the keys of these writes.
    async fn read_stored<'a>(&self, writes: impl IntoIterator<Item = &'a Write>) -> Result<StoredItems> {
        let keys: Vec<_> = writes.into_iter().map(Write::key).collect();
        let mut stored: StoredItems = keys.iter().map(|key| (key.sort.clone(), None)).collect();
        if !keys.is_empty() {
            for found in self.find(&keys).await? {
                stored.insert(found.key()?.sort, Some(found));
            }
        }
        Ok(stored)
    }
}

impl Operation {
    /// The operation of a write. Errors: `AlreadyExists` and `Conflict` where the stored item already violates a condition.
    fn of(write: &Write, mark: &str, stored: &StoredItems, now: SystemTime) -> Result<Self> {
        let key = write.key();
        let stored = stored.get(&key.sort);
        let body = |put: &Put| document(put, mark, now);
        match write {
            Write::Put(put) => match (&put.mode, stored) {
                (PutMode::Overwrite, _) => Self::put("Upsert", body(put)?),
                (PutMode::Create, Some(Some(found))) if found.has_expired(now) => {
                    Ok(Self::put("Replace", body(put)?)?.over(key, found.etag()?))
                }
                (PutMode::Create, Some(Some(_))) => Err(already_exists(key)),
                (PutMode::Create, _) => Self::put("Create", body(put)?),
                (PutMode::Update(version), _) => {
                    let etag = etag_of(version, now).ok_or_else(|| version_conflict(key))?;
                    Ok(Self::put("Replace", body(put)?)?.over(key, etag))
                }
                _ => Err(Error::unknown_variant("PutMode")),
            },
            // Without an operation, another client could create the item before the batch is applied.
            Write::Delete { version: None, .. } if matches!(stored, Some(None)) => {
                Self::put("Upsert", tombstone(key, mark)?)
            }
            Write::Delete { version, .. } => {
                check_key(key)?;
                let etag = |version| etag_of(version, now).ok_or_else(|| version_conflict(key));
                let if_match = version.as_ref().map(etag).transpose()?.map(str::to_owned);
                Ok(Self { operation_type: "Delete", id: Some(id(&key.sort)), if_match, resource_body: None })
            }
            Write::Add { .. } => {
                Err(Error::internal("bug in isobar: an addition was not replaced by a put; please report it"))
            }
            _ => Err(Error::unknown_variant("Write")),
        }
    }

    fn put(operation_type: &'static str, document: String) -> Result<Self> {
        let resource_body = Some(RawValue::from_string(document)?);
        Ok(Self { operation_type, id: None, if_match: None, resource_body })
    }

    fn over(self, key: &Key, etag: &str) -> Self {
        Self { id: Some(id(&key.sort)), if_match: Some(etag.to_owned()), ..self }
    }
}

/// The versions from the response of an applied transaction. Errors: `Internal`.
fn answers(writes: &[Cow<'_, Write>], success: &Success) -> Result<Vec<Option<Version>>> {
    let outcomes: Vec<Outcome> = success.read().map_err(Error::with_outcome_unknown)?;
    let lacks =
        || Error::internal("Cosmos DB's response does not contain an outcome of each write").with_outcome_unknown();
    if writes.len() != outcomes.len() || outcomes.iter().any(|outcome| outcome.status_code >= 400) {
        return Err(lacks());
    }
    let answer = |(write, outcome): (&Cow<'_, Write>, Outcome)| match write.as_ref() {
        Write::Put(put) => {
            let etag = outcome.e_tag.ok_or_else(lacks)?;
            Ok(Some(version(&etag, put.expires_at.map(to_millis))))
        }
        _ => Ok(None),
    };
    writes.iter().zip(outcomes).map(answer).collect()
}
