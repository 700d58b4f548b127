//! Transactions: entity group transactions of one partition.

use std::borrow::Cow;
use std::time::SystemTime;

use isobar_abstraction::driver::key_value::{Key, Put, PutMode, Version, Write, is_repeatable, put_of_sum};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Safety, ServiceError, mark_uncertain};

use super::change::Change;
use super::key::RowKey;
use super::service_error::{is_absent, is_condition};
use super::stored::{Content, Tag};
use super::write::{On, change};
use super::{TRIES, TableKeyValue, busy};
use crate::profile::PROFILE;
use isobar_rest::attempt::{
    COUNTER_ATTEMPTS, already_exists, pause, transaction_outcome_unknown, unique_id, version_conflict,
};

/// The operation of one write.
enum Step<'a> {
    Put(Cow<'a, Put>, On),
    /// Deletes a row of this ETag, or of any with `*`.
    Delete(&'a Key, String),
    /// Writes an expired item, instead of a delete whose row may be absent, which would fail the transaction.
    Expire(&'a Key),
}

impl TableKeyValue {
    /// One request, where all rows to delete exist and no row to create has expired. Counters are read first, and their
    /// sums replace the version that was read.
    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let ids = writes.iter().map(|_| unique_id()).collect::<Result<Vec<_>>>()?;
        let mut steps = Vec::with_capacity(writes.len());
        for write in writes {
            steps.push(self.step(write).await?);
        }
        let tries = if writes.iter().any(Write::is_add) { COUNTER_ATTEMPTS } else { TRIES };
        let safety = if is_repeatable(writes) { Safety::Idempotent } else { Safety::Once };
        let mut lost = false;
        for attempt in 0..tries {
            let changes: Vec<_> = steps.iter().zip(&ids).map(|(step, id)| step.change(id)).collect();
            let sent = self.requests.transact(&changes, safety).await;
            let service_error = match sent.map_err(|error| mark_uncertain(error, lost))? {
                Ok(etags) => {
                    self.clear(&steps, &etags).await;
                    return Ok(answers(&steps, ids, etags));
                }
                Err(service_error) => service_error,
            };
            lost |= service_error.uncertain;
            if lost && is_condition(&service_error) {
                let applied = self.applied(writes, &ids).await.map_err(|error| mark_uncertain(error, true))?;
                if let Some(versions) = applied {
                    return Ok(versions);
                }
                if writes.iter().any(Write::is_add) {
                    return Err(mark_uncertain(transaction_outcome_unknown(), true));
                }
            }
            self.revise(writes, &mut steps, service_error).await.map_err(|error| mark_uncertain(error, lost))?;
            pause(&*self.clock, attempt).await;
        }
        let key = writes.first().map_or_else(|| Key::from(""), |write| write.key().clone());
        Err(mark_uncertain(busy(&key), lost))
    }

    async fn step<'a>(&self, write: &'a Write) -> Result<Step<'a>> {
        Ok(match write {
            Write::Put(put) => {
                let on = match &put.mode {
                    PutMode::Overwrite => On::Any,
                    PutMode::Create => On::Absent,
                    PutMode::Update(version) => On::Etag(self.live_etag(&put.key, version)?),
                    _ => return Err(Error::unknown_variant("PutMode")),
                };
                Step::Put(Cow::Borrowed(put), on)
            }
            Write::Add { key, delta } => self.count(key, *delta).await?,
            Write::Delete { key, version: None } => Step::Delete(key, "*".to_owned()),
            Write::Delete { key, version: Some(version) } => Step::Delete(key, self.live_etag(key, version)?),
            _ => return Err(Error::unknown_variant("Write")),
        })
    }

    /// An addition as the put of its sum, which replaces the current row. Errors: `InvalidInput` where the item is not a
    /// counter.
    async fn count<'a>(&self, key: &Key, delta: i64) -> Result<Step<'a>> {
        let found = self.find(&RowKey::from(key)).await?;
        let on = found.as_ref().map_or(On::Absent, |found| On::Etag(found.tag.etag.clone()));
        let live = found.filter(|found| found.tag.is_live(self.now()));
        let stored = live.map(|found| found.into_item(key.clone())).transpose()?;
        Ok(Step::Put(Cow::Owned(put_of_sum(key, delta, stored, PROFILE.limits.counter_max_abs)?), on))
    }

    /// Changes the steps for another attempt. Errors: the reason why the transaction will never be applied.
    async fn revise<'a>(&self, writes: &'a [Write], steps: &mut [Step<'a>], service_error: ServiceError) -> Result<()> {
        let failed =
            service_error.write.filter(|_| is_condition(&service_error)).and_then(|at| Some((at, writes.get(at)?)));
        match failed {
            Some((_, Write::Delete { version: None, .. })) if is_absent(&service_error) => {
                for (step, write) in steps.iter_mut().zip(writes) {
                    if let Write::Delete { key, version: None } = write {
                        *step = Step::Expire(key);
                    }
                }
                Ok(())
            }
            Some((at, Write::Put(put))) if put.mode == PutMode::Create => {
                let on = match self.find(&RowKey::from(&put.key)).await? {
                    Some(found) if found.tag.is_live(self.now()) => return Err(already_exists(&put.key)),
                    Some(found) => On::Etag(found.tag.etag),
                    None => On::Absent,
                };
                steps[at] = Step::Put(Cow::Borrowed(put), on);
                Ok(())
            }
            Some((_, Write::Add { .. })) => {
                for (step, write) in steps.iter_mut().zip(writes) {
                    if let Write::Add { key, delta } = write {
                        *step = self.count(key, *delta).await?;
                    }
                }
                Ok(())
            }
            Some((_, write)) => Err(version_conflict(write.key())),
            None => Err(service_error.into()),
        }
    }

    /// The versions where an attempt whose response was lost was applied: then one of the rows has its write id, unless
    /// all were overwritten since.
    async fn applied(&self, writes: &[Write], ids: &[String]) -> Result<Option<Vec<Option<Version>>>> {
        let mut versions = Vec::new();
        let mut applied = false;
        for (write, id) in writes.iter().zip(ids) {
            if matches!(write, Write::Delete { .. }) {
                versions.push(None);
                continue;
            }
            let found = self.find(&RowKey::from(write.key())).await?.filter(|found| found.tag.write == *id);
            applied |= found.is_some();
            versions
                .push(Some(found.map_or_else(|| Tag::superseded(id.clone()), |found| found.tag).version(write.key())));
        }
        Ok(applied.then_some(versions))
    }

    /// Deletes the rows of [`Step::Expire`]. Where that fails, they stay as expired items.
    async fn clear(&self, steps: &[Step<'_>], etags: &[Option<String>]) {
        let expired = steps.iter().zip(etags).filter_map(|(step, etag)| match step {
            Step::Expire(key) => Some(Change::delete(RowKey::from(*key), etag.as_deref()?)),
            _ => None,
        });
        let expired: Vec<_> = expired.collect();
        if !expired.is_empty() {
            let _best_effort = self.requests.transact(&expired, Safety::Idempotent).await;
        }
    }
}

impl Step<'_> {
    fn change(&self, id: &str) -> Change {
        match self {
            Self::Put(put, on) => change(put, id, on),
            Self::Delete(key, etag) => Change::delete(RowKey::from(*key), etag),
            Self::Expire(key) => {
                let (row, expires_at) = (RowKey::from(*key), Some(SystemTime::UNIX_EPOCH));
                let entity = Content { key, value: b"", expires_at, write: id }.entity(&row);
                Change::upsert(row, entity)
            }
        }
    }
}

fn answers(steps: &[Step<'_>], ids: Vec<String>, etags: Vec<Option<String>>) -> Vec<Option<Version>> {
    let answer = |((step, id), etag): ((&Step<'_>, String), Option<String>)| match (step, etag) {
        (Step::Put(put, _), Some(etag)) => Some(Tag { write: id, expires_at: put.expires_at, etag }.version(&put.key)),
        (Step::Put(put, _), None) => Some(Tag::superseded(id).version(&put.key)),
        (Step::Delete(..) | Step::Expire(_), _) => None,
    };
    steps.iter().zip(ids).zip(etags).map(answer).collect()
}
