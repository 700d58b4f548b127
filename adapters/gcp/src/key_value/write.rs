//! Puts, deletes and transactions.

use std::collections::HashMap;

use isobar_abstraction::Result;
use isobar_abstraction::key_value::{Key, Put, PutMode, Version, Write};
use isobar_rest::Safety;

use super::attempt::{changed, taken, unique};
use super::commit::{Change, Document, Precondition, Sent, Written};
use super::refusal::is_condition;
use super::stored::{Fields, Found, expiry, path, version, wanted};
use super::{FirestoreKeyValue, TRIES, throttled};
use crate::service::{Refusal, unknown};

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
    pub(super) async fn put_item(&self, put: &Put) -> Result<Version> {
        let written = self.write("Put", std::slice::from_ref(&Write::Put(put.clone()))).await?;
        let version = written.into_iter().next().flatten();
        version.ok_or_else(|| isobar_abstraction::Error::internal("a put was given no version"))
    }

    pub(super) async fn delete_item(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let write = Write::Delete { key: key.clone(), version: version.cloned() };
        self.write("Delete", std::slice::from_ref(&write)).await.map(drop)
    }

    pub(super) async fn transact_items(&self, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        self.write("Transact", writes).await
    }

    /// All or none: one request, unless a create meets what has expired. Repeated as often as it takes: the
    /// mark tells our own writes from all others.
    async fn write(&self, operation: &'static str, writes: &[Write]) -> Result<Vec<Option<Version>>> {
        let mark = unique()?;
        let (mut seen, mut lost) = (Seen::new(), false);
        for attempt in 0..TRIES {
            let changes = self.changes(writes, &mark, &seen).await.map_err(|error| unknown(error, lost))?;
            let sent = self.commit(operation, Safety::Idempotent, &changes).await;
            let refusal = match sent.map_err(|error| unknown(error, lost))? {
                Ok(written) => return self.versions(writes, &written),
                Err(refusal) => refusal,
            };
            lost |= refusal.uncertain;
            match self.settle(writes, &mark, refusal, lost).await.map_err(|error| unknown(error, lost))? {
                Settled::Applied(versions) => return Ok(versions),
                Settled::Seen(found) => seen = found,
            }
            self.pause(attempt).await;
        }
        Err(unknown(throttled("other writes of the same items were faster every time"), lost))
    }

    /// Errors: `Conflict` where it is known before that nothing has the version.
    async fn changes<'a>(&self, writes: &'a [Write], mark: &'a str, seen: &'a Seen) -> Result<Vec<Change<'a>>> {
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let name = self.name(write.key()).await?;
            let current_document = self.precondition(write, seen)?;
            changes.push(match write {
                Write::Put(put) => {
                    let fields = Sent::Whole(Box::new(Fields::of(put, mark)));
                    Change { update: Some(Document { name, fields }), current_document, ..Change::default() }
                }
                Write::Delete { .. } => Change { delete: Some(name), current_document, ..Change::default() },
            });
        }
        Ok(changes)
    }

    fn precondition<'a>(&self, write: &'a Write, seen: &'a Seen) -> Result<Option<Precondition<'a>>> {
        let of = |version: &'a Version| {
            let place = path(&self.collection, write.key())?;
            let time = wanted(version, &place, self.clock.now()).ok_or_else(|| changed(write.key()))?;
            Ok(Some(Precondition::UpdateTime(time)))
        };
        match write {
            Write::Put(Put { mode: PutMode::Overwrite, .. }) | Write::Delete { version: None, .. } => Ok(None),
            Write::Put(Put { mode: PutMode::Update(version), .. }) | Write::Delete { version: Some(version), .. } => {
                of(version)
            }
            // What has expired counts as absent, so it is written over.
            Write::Put(Put { mode: PutMode::Create, key, .. }) => match seen.get(key) {
                Some(found) => Ok(Some(Precondition::UpdateTime(found.update_time()?))),
                None => Ok(Some(Precondition::Exists(false))),
            },
        }
    }

    /// After a refusal. `lost`: may an attempt have been applied? Errors: why it will never be applied.
    async fn settle(&self, writes: &[Write], mark: &str, refusal: Refusal, lost: bool) -> Result<Settled> {
        if !is_condition(&refusal) {
            return Err(self.explain(refusal));
        }
        // Who asks for a version, and is sure to have had no answer lost, need not look.
        if let ([write], false) = (writes, lost)
            && asks_for_a_version(write)
        {
            return Err(changed(write.key()));
        }
        let seen = self.look(writes).await?;
        if lost && let Some(versions) = applied(writes, mark, &seen) {
            return versions.map(Settled::Applied);
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
            Write::Put(Put { mode: PutMode::Overwrite, .. }) | Write::Delete { version: None, .. } => Ok(()),
            Write::Put(Put { mode: PutMode::Create, key, .. }) => {
                if alive.is_some() {
                    Err(taken(key))
                } else {
                    Ok(())
                }
            }
            Write::Put(Put { mode: PutMode::Update(version), key, .. })
            | Write::Delete { version: Some(version), key } => match alive {
                Some(found) if found.version()? == *version => Ok(()),
                _ => Err(changed(key)),
            },
        }
    }

    /// The versions of writes that were applied. Errors: `Internal`.
    fn versions(&self, writes: &[Write], written: &[Written]) -> Result<Vec<Option<Version>>> {
        let answer = |(write, written): (&Write, &Written)| match write {
            Write::Put(put) => {
                let place = path(&self.collection, &put.key)?;
                Ok(Some(version(written.update_time()?, &place, put.expires_at.map(expiry))))
            }
            Write::Delete { .. } => Ok(None),
        };
        writes.iter().zip(written).map(answer).collect()
    }

    /// What is stored where there is to be written.
    async fn look(&self, writes: &[Write]) -> Result<Seen> {
        let keys: Vec<&Key> = writes.iter().map(Write::key).collect();
        let found = self.find(&keys).await?;
        let pairs = keys.into_iter().zip(found).filter_map(|(key, found)| Some((key.clone(), found?)));
        Ok(pairs.collect())
    }
}

fn asks_for_a_version(write: &Write) -> bool {
    match write {
        Write::Put(put) => matches!(put.mode, PutMode::Update(_)),
        Write::Delete { version, .. } => version.is_some(),
    }
}

/// The versions, where what is stored shows that an attempt whose answer was lost was applied.
fn applied(writes: &[Write], mark: &str, seen: &Seen) -> Option<Result<Vec<Option<Version>>>> {
    let mut puts = writes.iter().filter(|write| matches!(write, Write::Put(_))).peekable();
    puts.peek()?;
    let ours = |write: &Write| seen.get(write.key()).filter(|found| found.is_marked(mark));
    if !puts.all(|write| ours(write).is_some()) {
        return None;
    }
    let answer = |write: &Write| match write {
        Write::Put(_) => ours(write).map(Found::version).transpose(),
        Write::Delete { .. } => Ok(None),
    };
    Some(writes.iter().map(answer).collect())
}
