//! Puts, deletes and transactions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version, Write, is_repeatable, with_sums};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Safety, ServiceError, mark_uncertain};

use super::commit::{Change, Document, Precondition, SentFields, WriteResult};
use super::key::path;
use super::service_error::{is_condition, is_contention};
use super::stored::{Fields, StoredDocument, expiry, required_update_time, version};
use super::{FirestoreKeyValue, MAX_ATTEMPTS};
use crate::profile::PROFILE;
use isobar_rest::attempt::{
    COUNTER_ATTEMPTS, already_exists, applied_versions, pause, requires_version, throttled,
    transaction_outcome_unknown, unique_id, version_conflict,
};

/// The documents that were read, by key.
type Documents = HashMap<Key, StoredDocument>;

/// The state after a rejected commit.
enum CommitRejection {
    /// An earlier attempt, whose response was lost, was applied.
    Applied(Vec<Option<Version>>),
    /// No attempt was applied; the writes may be retried on these documents.
    Retry(Documents),
}

impl FirestoreKeyValue {
    /// Applies all writes or none, in one request unless a create finds an expired item. Lost races are retried; the
    /// mark distinguishes isobar's own write from others.
    ///
    /// Counters are read first, and their sums are written on the condition that the item is unchanged: an increment
    /// accepts no condition on the current number.
    pub(super) async fn write(&self, operation: &'static str, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let mark = unique_id()?;
        let counters: Vec<_> = writes.iter().filter(|write| write.is_add()).collect();
        let max_attempts = if counters.is_empty() { MAX_ATTEMPTS } else { COUNTER_ATTEMPTS };
        let safety = if is_repeatable(writes) { Safety::Idempotent } else { Safety::Once };
        let (mut documents, mut lost) = (self.read_documents(counters).await?, false);
        for attempt in 0..max_attempts {
            let now = self.clock.now();
            let puts = self.with_sums(writes, &documents, now).map_err(|error| mark_uncertain(error, lost))?;
            let changes =
                self.changes(&puts, &mark, &documents, now).await.map_err(|error| mark_uncertain(error, lost))?;
            let sent = self.commit(operation, safety, &changes).await;
            let service_error = match sent.map_err(|error| mark_uncertain(error, lost))? {
                Ok(written) => return self.versions(&puts, &written),
                Err(service_error) => service_error,
            };
            lost |= service_error.uncertain;
            match self.settle(writes, &mark, service_error, lost).await.map_err(|error| mark_uncertain(error, lost))? {
                CommitRejection::Applied(versions) => return Ok(versions),
                CommitRejection::Retry(found) => documents = found,
            }
            pause(&*self.clock, attempt).await;
        }
        Err(mark_uncertain(throttled("each attempt lost a race against other writes of the same items"), lost))
    }

    /// The writes, with each addition replaced by the put of its sum. Errors: `InvalidInput` for an item that is no
    /// counter.
    fn with_sums<'a>(
        &self,
        writes: &'a [Write],
        documents: &Documents,
        now: SystemTime,
    ) -> Result<Vec<Cow<'a, Write>>> {
        let stored = |key: &Key| match documents.get(key) {
            Some(found) => found.clone().into_item(key.clone(), now),
            None => Ok(None),
        };
        with_sums(writes, PROFILE.limits.counter_max_abs, stored)
    }

    /// The writes of the request. Errors: `Conflict` for a version that no item can have.
    async fn changes<'a>(
        &self,
        writes: &'a [Cow<'a, Write>],
        mark: &'a str,
        documents: &'a Documents,
        now: SystemTime,
    ) -> Result<Vec<Change<'a>>> {
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let name = self.name(write.key()).await?;
            let current_document = self.precondition(write, documents, now)?;
            changes.push(match write.as_ref() {
                Write::Put(put) => {
                    let fields = SentFields::Whole(Box::new(Fields::of(put, mark)));
                    Change { update: Some(Document { name, fields }), current_document, ..Change::default() }
                }
                Write::Delete { .. } => Change { delete: Some(name), current_document, ..Change::default() },
                Write::Add { .. } => {
                    return Err(Error::internal(
                        "bug in isobar: an addition was not replaced by a put; please report it",
                    ));
                }
                _ => return Err(Error::unknown_variant("Write")),
            });
        }
        Ok(changes)
    }

    fn precondition<'a>(
        &self,
        write: &'a Write,
        documents: &'a Documents,
        now: SystemTime,
    ) -> Result<Option<Precondition<'a>>> {
        match write {
            Write::Put(Put { mode: PutMode::Update(version), .. }) | Write::Delete { version: Some(version), .. } => {
                let document = path(&self.collection, write.key())?;
                let time =
                    required_update_time(version, &document, now).ok_or_else(|| version_conflict(write.key()))?;
                Ok(Some(Precondition::UpdateTime(time)))
            }
            // An expired item counts as missing, so it is overwritten.
            Write::Put(Put { mode: PutMode::Create, key, .. }) => match documents.get(key) {
                Some(found) => Ok(Some(Precondition::UpdateTime(found.update_time()?))),
                None => Ok(Some(Precondition::Exists(false))),
            },
            Write::Put(Put { mode: PutMode::Overwrite, .. }) | Write::Delete { .. } | Write::Add { .. } => Ok(None),
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }

    /// Handles a rejected commit. `lost`: whether an attempt may have been applied. Errors: why the writes cannot be
    /// applied.
    async fn settle(
        &self,
        writes: &[Write],
        mark: &str,
        service_error: ServiceError,
        lost: bool,
    ) -> Result<CommitRejection> {
        let adds = writes.iter().any(Write::is_add);
        let contended = adds && !lost && is_contention(&service_error);
        if !contended && !is_condition(&service_error) {
            return Err(self.explain(service_error));
        }
        // A single write that requires a version, without a lost response, needs no read.
        if let ([write], false) = (writes, lost)
            && requires_version(write)
        {
            return Err(version_conflict(write.key()));
        }
        let documents = self.read_documents(writes).await?;
        let own_version =
            |key: &Key| documents.get(key).filter(|found| found.is_marked(mark)).map(StoredDocument::version);
        if lost && let Some(versions) = applied_versions(writes, mark, &own_version) {
            return versions.map(CommitRejection::Applied);
        }
        if lost && adds {
            return Err(transaction_outcome_unknown());
        }
        for write in writes {
            self.check(write, documents.get(write.key()))?;
        }
        Ok(CommitRejection::Retry(documents))
    }

    /// Errors: `AlreadyExists` and `Conflict` if the stored document does not meet the condition of the write.
    fn check(&self, write: &Write, found: Option<&StoredDocument>) -> Result<()> {
        let now = self.clock.now();
        let live = found.filter(|found| !found.has_expired(now));
        match write {
            Write::Put(Put { mode: PutMode::Create, key, .. }) if live.is_some() => Err(already_exists(key)),
            Write::Put(Put { mode: PutMode::Update(version), key, .. })
            | Write::Delete { version: Some(version), key } => match live {
                Some(found) if found.version()? == *version => Ok(()),
                _ => Err(version_conflict(key)),
            },
            _ => Ok(()),
        }
    }

    /// The versions of applied writes. Errors: `Internal`.
    fn versions(&self, writes: &[Cow<'_, Write>], written: &[WriteResult]) -> Result<Vec<Option<Version>>> {
        let answer = |(write, written): (&Cow<'_, Write>, &WriteResult)| match write.as_ref() {
            Write::Put(put) => {
                let document = path(&self.collection, &put.key)?;
                Ok(Some(version(written.update_time()?, &document, put.expires_at.map(expiry))))
            }
            _ => Ok(None),
        };
        writes.iter().zip(written).map(answer).collect()
    }

    /// Reads the documents of the writes.
    async fn read_documents<'a>(&self, writes: impl IntoIterator<Item = &'a Write>) -> Result<Documents> {
        let keys: Vec<&Key> = writes.into_iter().map(Write::key).collect();
        if keys.is_empty() {
            return Ok(Documents::new());
        }
        let found = self.find(&keys).await?;
        let pairs = keys.into_iter().zip(found).filter_map(|(key, found)| Some((key.clone(), found?)));
        Ok(pairs.collect())
    }
}
