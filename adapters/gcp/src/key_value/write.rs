//! Puts, deletes and transactions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::SystemTime;

use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version, Write, is_repeatable, with_sums};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Safety, ServiceError, mark_uncertain};

use super::commit::{Change, Document, Precondition, Sent, Written};
use super::key::path;
use super::service_error::{is_condition, is_contention};
use super::stored::{Fields, Found, expiry, version, wanted};
use super::{FirestoreKeyValue, TRIES};
use crate::profile::PROFILE;
use isobar_rest::attempt::{
    COUNTER_ATTEMPTS, already_exists, applied_versions, pause, requires_version, throttled,
    transaction_outcome_unknown, unique_id, version_conflict,
};

/// What was seen to be stored.
type Seen = HashMap<Key, Found>;

/// What became of writes that were refused.
enum Settled {
    /// An attempt before, whose answer was lost, was applied.
    Applied(Vec<Option<Version>>),
    /// They were not, and may be in other words.
    Seen(Seen),
}

impl FirestoreKeyValue {
    /// All or none: one request, unless a create meets what has expired. Repeated as often as it takes: the
    /// mark tells our own writes from all others.
    ///
    /// Counters are read before, and their sums written over what was read: an increment takes no
    /// condition on the number that is there.
    pub(super) async fn write(&self, operation: &'static str, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let mark = unique_id()?;
        let counters: Vec<_> = writes.iter().filter(|write| write.is_add()).collect();
        let tries = if counters.is_empty() { TRIES } else { COUNTER_ATTEMPTS };
        let safety = if is_repeatable(writes) { Safety::Idempotent } else { Safety::Once };
        let (mut seen, mut lost) = (self.look(counters).await?, false);
        for attempt in 0..tries {
            let now = self.clock.now();
            let puts = self.count(writes, &seen, now).map_err(|error| mark_uncertain(error, lost))?;
            let changes = self.changes(&puts, &mark, &seen, now).await.map_err(|error| mark_uncertain(error, lost))?;
            let sent = self.commit(operation, safety, &changes).await;
            let service_error = match sent.map_err(|error| mark_uncertain(error, lost))? {
                Ok(written) => return self.versions(&puts, &written),
                Err(service_error) => service_error,
            };
            lost |= service_error.uncertain;
            match self.settle(writes, &mark, service_error, lost).await.map_err(|error| mark_uncertain(error, lost))? {
                Settled::Applied(versions) => return Ok(versions),
                Settled::Seen(found) => seen = found,
            }
            pause(&*self.clock, attempt).await;
        }
        Err(mark_uncertain(throttled("other writes of the same items were faster every time"), lost))
    }

    /// The writes, with each addition as the put of its sum. Errors: `InvalidInput` for what is no counter.
    fn count<'a>(&self, writes: &'a [Write], seen: &Seen, now: SystemTime) -> Result<Vec<Cow<'a, Write>>> {
        let stored = |key: &Key| match seen.get(key) {
            Some(found) => found.clone().into_item(key.clone(), now),
            None => Ok(None),
        };
        with_sums(writes, PROFILE.limits.counter_max_abs, stored)
    }

    /// Errors: `Conflict` where it is known before that nothing has the version.
    async fn changes<'a>(
        &self,
        writes: &'a [Cow<'a, Write>],
        mark: &'a str,
        seen: &'a Seen,
        now: SystemTime,
    ) -> Result<Vec<Change<'a>>> {
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let name = self.name(write.key()).await?;
            let current_document = self.precondition(write, seen, now)?;
            changes.push(match write.as_ref() {
                Write::Put(put) => {
                    let fields = Sent::Whole(Box::new(Fields::of(put, mark)));
                    Change { update: Some(Document { name, fields }), current_document, ..Change::default() }
                }
                Write::Delete { .. } => Change { delete: Some(name), current_document, ..Change::default() },
                Write::Add { .. } => return Err(Error::internal("an addition has become no put")),
                _ => return Err(Error::unknown_variant("Write")),
            });
        }
        Ok(changes)
    }

    fn precondition<'a>(&self, write: &'a Write, seen: &'a Seen, now: SystemTime) -> Result<Option<Precondition<'a>>> {
        match write {
            Write::Put(Put { mode: PutMode::Update(version), .. }) | Write::Delete { version: Some(version), .. } => {
                let place = path(&self.collection, write.key())?;
                let time = wanted(version, &place, now).ok_or_else(|| version_conflict(write.key()))?;
                Ok(Some(Precondition::UpdateTime(time)))
            }
            // What has expired counts as absent, so it is written over.
            Write::Put(Put { mode: PutMode::Create, key, .. }) => match seen.get(key) {
                Some(found) => Ok(Some(Precondition::UpdateTime(found.update_time()?))),
                None => Ok(Some(Precondition::Exists(false))),
            },
            Write::Put(Put { mode: PutMode::Overwrite, .. }) | Write::Delete { .. } | Write::Add { .. } => Ok(None),
            _ => Err(Error::unknown_variant("PutMode")),
        }
    }

    /// After a service error. `lost`: may an attempt have been applied? Errors: why it will never be applied.
    async fn settle(&self, writes: &[Write], mark: &str, service_error: ServiceError, lost: bool) -> Result<Settled> {
        let adds = writes.iter().any(Write::is_add);
        let contended = adds && !lost && is_contention(&service_error);
        if !contended && !is_condition(&service_error) {
            return Err(self.explain(service_error));
        }
        // Who asks for a version, and is sure to have had no answer lost, need not look.
        if let ([write], false) = (writes, lost)
            && requires_version(write)
        {
            return Err(version_conflict(write.key()));
        }
        let seen = self.look(writes).await?;
        let ours = |key: &Key| seen.get(key).filter(|found| found.is_marked(mark)).map(Found::version);
        if lost && let Some(versions) = applied_versions(writes, mark, &ours) {
            return versions.map(Settled::Applied);
        }
        if lost && adds {
            return Err(transaction_outcome_unknown());
        }
        for write in writes {
            self.check(write, seen.get(write.key()))?;
        }
        Ok(Settled::Seen(seen))
    }

    /// Errors: `AlreadyExists` and `Conflict` where what is stored keeps the write from happening.
    fn check(&self, write: &Write, found: Option<&Found>) -> Result<()> {
        let now = self.clock.now();
        let alive = found.filter(|found| !found.has_expired(now));
        match write {
            Write::Put(Put { mode: PutMode::Create, key, .. }) if alive.is_some() => Err(already_exists(key)),
            Write::Put(Put { mode: PutMode::Update(version), key, .. })
            | Write::Delete { version: Some(version), key } => match alive {
                Some(found) if found.version()? == *version => Ok(()),
                _ => Err(version_conflict(key)),
            },
            _ => Ok(()),
        }
    }

    /// The versions of writes that were applied. Errors: `Internal`.
    fn versions(&self, writes: &[Cow<'_, Write>], written: &[Written]) -> Result<Vec<Option<Version>>> {
        let answer = |(write, written): (&Cow<'_, Write>, &Written)| match write.as_ref() {
            Write::Put(put) => {
                let place = path(&self.collection, &put.key)?;
                Ok(Some(version(written.update_time()?, &place, put.expires_at.map(expiry))))
            }
            _ => Ok(None),
        };
        writes.iter().zip(written).map(answer).collect()
    }

    /// What is stored where there is to be written.
    async fn look<'a>(&self, writes: impl IntoIterator<Item = &'a Write>) -> Result<Seen> {
        let keys: Vec<&Key> = writes.into_iter().map(Write::key).collect();
        if keys.is_empty() {
            return Ok(Seen::new());
        }
        let found = self.find(&keys).await?;
        let pairs = keys.into_iter().zip(found).filter_map(|(key, found)| Some((key.clone(), found?)));
        Ok(pairs.collect())
    }
}
