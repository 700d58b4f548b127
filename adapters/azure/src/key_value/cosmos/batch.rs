//! Transactions: batches of one partition, all or nothing.
//!
//! Source: <https://learn.microsoft.com/azure/cosmos-db/nosql/transactional-batch>.

use std::collections::HashMap;

use http::Method;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::key_value::{Key, Put, PutMode, Version, Write};
use isobar_abstraction::{Error, Result};
use isobar_rest::Safety;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::refusal::{REQUEST_BYTES, Refusal};
use super::request::{Ask, Success, unknown};
use super::stored::{Found, check_key, document, id, partition_header, tombstone, unique, version, wanted};
use super::write::{gone, taken};
use super::{CosmosKeyValue, TRIES, throttled};

/// What the other writes of a batch are answered when one has failed.
const FAILED_DEPENDENCY: u16 = 424;

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

/// What became of one write.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    status_code: u16,
    #[serde(default)]
    sub_status_code: u32,
    e_tag: Option<String>,
}

/// What was seen to be stored, by sort key; `None` before anything was looked at.
type Seen = Option<HashMap<String, Found>>;

/// The first write that failed.
struct Culprit<'a> {
    write: &'a Write,
    refusal: Refusal,
}

impl CosmosKeyValue {
    /// One request, unless a create meets what has expired, or a delete what is absent: those fail a batch,
    /// so it is looked at, and tried again in other words.
    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let Some(partition) = writes.first().map(|write| &write.key().partition) else { return Ok(Vec::new()) };
        let mark = unique()?;
        let (mut seen, mut uncertain) = (None, false);
        for attempt in 0..TRIES {
            let operations = self.plan(writes, &mark, &seen).map_err(|error| unknown(error, uncertain))?;
            let success = self.send(partition, &operations).await.map_err(|error| unknown(error, uncertain))?;
            let outcomes: Vec<Outcome> = success.read().map_err(Error::with_outcome_unknown)?;
            let Some(culprit) = culprit(writes, &outcomes, &success) else { return answers(writes, outcomes) };
            uncertain |= success.uncertain;
            if matches!(culprit.refusal.status, 404 | 409 | 412) {
                if asks_for_a_version(culprit.write) && !uncertain {
                    return Err(gone(culprit.write.key()));
                }
                let found = self.look(partition, writes).await.map_err(|error| unknown(error, uncertain))?;
                if let Some(versions) = applied(writes, &mark, &found) {
                    return versions;
                }
                if asks_for_a_version(culprit.write) {
                    return Err(gone(culprit.write.key()).with_outcome_unknown());
                }
                seen = Some(found);
            } else if !matches!(culprit.refusal.status, 408 | 410 | 429 | 449 | 500..) {
                return Err(unknown(self.explain(culprit.refusal), uncertain));
            }
            self.pause(attempt).await;
        }
        let error = throttled("other writes of the same items, or throttling, undid the transaction every time");
        Err(unknown(error, uncertain))
    }

    /// Errors: `AlreadyExists` and `Conflict` where it is known before that a condition does not hold.
    fn plan(&self, writes: &[Write], mark: &str, seen: &Seen) -> Result<Vec<Operation>> {
        writes.iter().map(|write| self.operation(write, mark, seen)).collect()
    }

    fn operation(&self, write: &Write, mark: &str, seen: &Seen) -> Result<Operation> {
        let now = self.clock.now();
        let key = write.key();
        let stored = seen.as_ref().map(|seen| seen.get(&key.sort));
        let body = |put: &Put| document(put, mark, now);
        match write {
            Write::Put(put) => match (&put.mode, stored) {
                (PutMode::Overwrite, _) => Operation::put("Upsert", body(put)?),
                (PutMode::Create, Some(Some(found))) if found.has_expired(now) => {
                    Ok(Operation::put("Replace", body(put)?)?.over(key, found.etag()?))
                }
                (PutMode::Create, Some(Some(_))) => Err(taken(key)),
                (PutMode::Create, _) => Operation::put("Create", body(put)?),
                (PutMode::Update(version), _) => {
                    let etag = wanted(version, now).ok_or_else(|| gone(key))?;
                    Ok(Operation::put("Replace", body(put)?)?.over(key, etag))
                }
            },
            // To leave it out would let somebody create the item before the batch is applied.
            Write::Delete { version: None, .. } if matches!(stored, Some(None)) => {
                Operation::put("Upsert", tombstone(key, mark)?)
            }
            Write::Delete { version, .. } => {
                check_key(key)?;
                let etag = |version| wanted(version, now).ok_or_else(|| gone(key));
                let if_match = version.as_ref().map(etag).transpose()?.map(str::to_owned);
                Ok(Operation { operation_type: "Delete", id: Some(id(&key.sort)), if_match, resource_body: None })
            }
        }
    }

    async fn send(&self, partition: &str, operations: &[Operation]) -> Result<Success> {
        let body = serde_json::to_vec(operations)?;
        if body.len() as u64 > REQUEST_BYTES {
            return Err(Error::too_large("the transaction in Cosmos DB's JSON", body.len() as u64, REQUEST_BYTES));
        }
        let ask = Ask::items("TransactionalBatch", Method::POST, Safety::Idempotent)
            .in_session()
            .with("x-ms-documentdb-partitionkey", partition_header(partition))
            .with("x-ms-cosmos-is-batch-request", "True")
            .with("x-ms-cosmos-batch-atomic", "True")
            .with("x-ms-cosmos-batch-continue-on-error", "False")
            .with_body("application/json", body);
        self.container.ask(ask).await?.map_err(|refusal| self.explain(refusal))
    }

    async fn look(&self, partition: &str, writes: &[Write]) -> Result<HashMap<String, Found>> {
        let sorts: Vec<_> = writes.iter().map(|write| write.key().sort.as_str()).collect();
        let mut seen = HashMap::new();
        for sorts in sorts.chunks(100) {
            for found in self.look_up(partition, sorts).await? {
                seen.insert(found.key()?.sort, found);
            }
        }
        Ok(seen)
    }
}

impl Operation {
    fn put(operation_type: &'static str, document: String) -> Result<Self> {
        let resource_body = Some(RawValue::from_string(document)?);
        Ok(Self { operation_type, id: None, if_match: None, resource_body })
    }

    fn over(self, key: &Key, etag: &str) -> Self {
        Self { id: Some(id(&key.sort)), if_match: Some(etag.to_owned()), ..self }
    }
}

fn asks_for_a_version(write: &Write) -> bool {
    match write {
        Write::Put(put) => matches!(put.mode, PutMode::Update(_)),
        Write::Delete { version, .. } => version.is_some(),
    }
}

fn culprit<'a>(writes: &'a [Write], outcomes: &[Outcome], success: &Success) -> Option<Culprit<'a>> {
    let failed = |outcome: &Outcome| outcome.status_code >= 400 && outcome.status_code != FAILED_DEPENDENCY;
    let mut pairs = writes.iter().zip(outcomes);
    let (write, outcome) = pairs.find(|(_, outcome)| failed(outcome))?;
    let refusal = success.as_refusal().of_write(outcome.status_code, outcome.sub_status_code);
    Some(Culprit { write, refusal })
}

/// The versions of a transaction that was applied. Errors: `Internal`.
fn answers(writes: &[Write], outcomes: Vec<Outcome>) -> Result<Vec<Option<Version>>> {
    let lacks = || Error::internal("Cosmos DB's answer does not tell of each write").with_outcome_unknown();
    if writes.len() != outcomes.len() || outcomes.iter().any(|outcome| outcome.status_code >= 400) {
        return Err(lacks());
    }
    let answer = |(write, outcome): (&Write, Outcome)| match write {
        Write::Put(put) => {
            let etag = outcome.e_tag.ok_or_else(lacks)?;
            Ok(Some(version(&etag, put.expires_at.map(to_millis))))
        }
        Write::Delete { .. } => Ok(None),
    };
    writes.iter().zip(outcomes).map(answer).collect()
}

/// The versions, where what is stored shows that an attempt whose answer was lost was applied.
fn applied(writes: &[Write], mark: &str, found: &HashMap<String, Found>) -> Option<Result<Vec<Option<Version>>>> {
    let mut puts = writes.iter().filter(|write| matches!(write, Write::Put(_))).peekable();
    puts.peek()?;
    let ours = |write: &Write| found.get(&write.key().sort).filter(|found| found.is_marked(mark));
    if !puts.all(|write| ours(write).is_some()) {
        return None;
    }
    Some(
        writes
            .iter()
            .map(|write| match write {
                Write::Put(_) => ours(write).map(Found::version).transpose(),
                Write::Delete { .. } => Ok(None),
            })
            .collect(),
    )
}
