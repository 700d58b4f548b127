//! The writes of a record: the claim of a key, its result, and its release.

use std::time::Duration;

use serde_json::value::RawValue;

use super::record::{Found, Record, State};
use super::{OnInterrupted, Once};
use crate::clock::{later, to_millis};
use crate::context::random_id;
use crate::key_value::{Key, PutMode, PutOptions, Version};
use crate::{Context, Error, ErrorKind, Result};

/// The races for one record that a caller may lose. One that is lost means that another caller made progress, unless reads
/// of the service are late.
const ATTEMPTS: u32 = 10;

/// The wait after that many lost races.
const CONTENDED: Duration = Duration::from_secs(1);

/// The start of a caller.
pub(super) enum Start {
    Claimed(Claim),
    Done(Option<Box<RawValue>>),
    InProgress(Duration),
    /// A try of this time ended without a result, and the app refuses to run the work again.
    Interrupted {
        since_ms: u64,
    },
    OtherInput,
}

/// A key that this caller works on.
pub(super) struct Claim {
    pub(super) key: Key,
    pub(super) is_interrupted: bool,
    record: Record,
    version: Version,
    now_ms: u64,
}

/// The end of a caller whose work is done.
pub(super) enum Settled {
    Stored,
    /// Another caller stored its result before.
    Earlier(Option<Box<RawValue>>),
}

impl Once {
    /// Claims the key for this caller, or finds what another one did.
    pub(super) async fn start(&self, cx: &Context, key: Key, fingerprint: Option<String>) -> Result<Start> {
        let (now, lease) = (cx.now(), self.lease(cx));
        let (now_ms, until_ms) = (to_millis(now), to_millis(later(now, lease)));
        let state = State::Working { since_ms: now_ms, until_ms };
        let record = Record { state, fingerprint, token: random_id().to_string() };
        // An item that expires before its lease would let a second try run next to the first.
        let ttl = self.ttl.max(lease);
        let (mut mode, mut is_interrupted) = (PutMode::Create, false);
        for _ in 0..ATTEMPTS {
            let failed = match self.write(&key, &record, mode, ttl).await {
                Ok(version) => return Ok(Start::Claimed(Claim { key, is_interrupted, record, version, now_ms })),
                Err(error) if may_be_lost(&error) => error,
                Err(error) => return Err(error),
            };
            mode = match self.find(&key, &record, now_ms).await? {
                Some((Found::Own { .. }, version)) => {
                    return Ok(Start::Claimed(Claim { key, is_interrupted, record, version, now_ms }));
                }
                Some((Found::OtherInput, _)) => return Ok(Start::OtherInput),
                Some((Found::Done(result), _)) => return Ok(Start::Done(result)),
                Some((Found::Working { left: Some(left), .. }, _)) => return Ok(Start::InProgress(left)),
                Some((Found::Working { since_ms, left: None }, version)) => {
                    if self.on_interrupted == OnInterrupted::Refuse {
                        return Ok(Start::Interrupted { since_ms });
                    }
                    is_interrupted = true;
                    PutMode::Update(version)
                }
                None if failed.outcome_unknown() => return Err(failed),
                None => PutMode::Create,
            };
            self.pause().await;
        }
        Ok(Start::InProgress(CONTENDED))
    }

    /// Stores the result of a caller whose work is done. Errors: those of the table, with the message that the work is done.
    pub(super) async fn finish(&self, claim: &Claim, result: Option<Box<RawValue>>) -> Result<Settled> {
        let Claim { key, version, now_ms, .. } = claim;
        let mut record = Record { state: State::done(result), ..claim.record.clone() };
        let mut mode = PutMode::Update(version.clone());
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match self.write(key, &record, mode.clone(), self.ttl).await {
                Ok(_) => return Ok(Settled::Stored),
                Err(error) if error.kind() == ErrorKind::TooLarge && !matches!(record.state, State::Unstored) => {
                    tracing::warn!(%error, %key, "the result of the work is not stored");
                    record.state = State::Unstored;
                    continue;
                }
                Err(error) if may_be_lost(&error) => lost = Some(error),
                Err(error) => return Err(self.unfinished(key, error)),
            }
            let found = self.find(key, &record, *now_ms).await.map_err(|error| self.unfinished(key, error))?;
            mode = match found {
                Some((Found::Own { is_done: true }, _)) => return Ok(Settled::Stored),
                Some((Found::Done(result), _)) => return Ok(Settled::Earlier(result)),
                Some((Found::OtherInput, _)) => return Err(self.unfinished(key, self.other_input(key))),
                // Of two tries, the result that is stored first counts.
                Some((Found::Own { .. } | Found::Working { .. }, version)) => PutMode::Update(version),
                None => PutMode::Create,
            };
            self.pause().await;
        }
        let message = format!("lost {ATTEMPTS} races for the record");
        Err(self.unfinished(key, lost.unwrap_or_else(|| Error::conflict(message))))
    }

    /// Frees the key of a caller whose work failed. If that fails too, the key is free when its lease is over.
    pub(super) async fn release(&self, claim: &Claim) {
        let Claim { key, version, .. } = claim;
        if let Err(error) = self.table.delete_version(key, version).await {
            tracing::warn!(%error, %key, "the key of failed work is not free until its lease is over");
        }
    }

    async fn find(&self, key: &Key, own: &Record, now_ms: u64) -> Result<Option<(Found, Version)>> {
        let entry = self.table.get_entry(key).await.map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => {
                let message = format!("the item `{key}` is not a record of work: use the table for nothing else");
                self.explain(Error::new(error.kind(), message).with_origin(error.origin()))
            }
            _ => error,
        })?;
        Ok(entry.map(|entry| (entry.value.check(own, now_ms), entry.version)))
    }

    async fn write(&self, key: &Key, record: &Record, mode: PutMode, ttl: Duration) -> Result<Version> {
        self.table.put_with(key, record, PutOptions::from(mode).with_ttl(ttl)).await
    }

    /// The wait between two attempts: reads of a service may be late.
    async fn pause(&self) {
        let wait = Duration::from_micros(fastrand::u64(0..=20_000));
        self.table.resource().clock().pause(wait).await;
    }

    fn unfinished(&self, key: &Key, error: Error) -> Error {
        let message = format!("the work of `{key}` is done, but its result could not be stored");
        let unfinished = Error::new(error.kind(), message).with_origin(error.origin()).with_outcome_unknown();
        self.explain(unfinished.with_source(error))
    }
}

/// Was another caller faster, or may the write have been applied?
fn may_be_lost(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) || error.outcome_unknown()
}
