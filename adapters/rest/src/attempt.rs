//! What a write under a condition needs that is tried more than once, alike for all key-value services.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{Item, Key, KeyValue, PutMode, Version, Write, put_of_sum, sum_of};
use isobar_abstraction::{Error, ErrorKind, Origin, Result};

/// Tries of what races for a counter. Of those who race one always wins, so that a hundred writers of one
/// counter all come to their turn.
pub const COUNTER_ATTEMPTS: u32 = 100;

/// Waits between two tries: full jitter under 10 ms, doubling to 640 ms.
pub async fn pause(clock: &dyn Clock, tries: u32) {
    let longest = 10_000 << tries.min(6);
    clock.pause(Duration::from_micros(fastrand::u64(0..=longest))).await;
}

/// 128 random bits. Errors: `Internal` where the machine has no randomness.
pub fn random_bits() -> Result<[u8; 16]> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| Error::internal("the machine has no randomness").with_source(error))?;
    Ok(bits)
}

/// 128 random bits as 22 characters, by which a write is known from all others. Errors: those of [`random_bits`].
pub fn unique_id() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random_bits()?))
}

/// The error of a create that finds an item.
pub fn already_exists(key: &Key) -> Error {
    Error::already_exists(format!("there is an item at `{key}`"))
}

/// The error of a write that does not find its version.
pub fn version_conflict(key: &Key) -> Error {
    Error::conflict(format!("the item at `{key}` is gone, or was written since"))
}

/// The error of what other writes kept from happening.
pub fn throttled(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Throttled, message)
}

/// The error of an addition that lost every race. `advice` says how not to lose.
pub fn counter_contention(key: &Key, tries: u32, advice: &str) -> Error {
    Error::conflict(format!("lost {tries} races for the counter at `{key}`; {advice}")).with_origin(Origin::Service)
}

/// The error of a transaction whose answer was lost: what it added is under later additions, and what marked it
/// may have been deleted since. To send it again could add twice.
pub fn transaction_outcome_unknown() -> Error {
    let message = "an answer was lost, and what is stored does not show whether the transaction was applied";
    Error::new(ErrorKind::Unavailable, message)
}

/// Adds to what was read, and writes it back over that. `None` where another write was faster, and nothing was
/// done. Errors: `InvalidInput` for what is no counter, and those of the write.
pub async fn write_back(
    store: &dyn KeyValue,
    key: &Key,
    delta: i64,
    stored: Option<Item>,
    limit: i64,
) -> Result<Option<i64>> {
    let put = put_of_sum(key, delta, stored, limit)?;
    let sum = sum_of(&put)?;
    match store.put(put).await {
        Ok(_) => Ok(Some(sum)),
        // What may have been counted must not be counted again.
        Err(error) if error.outcome_unknown() => Err(error),
        Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Does a write ask for a version?
pub fn requires_version(write: &Write) -> bool {
    match write {
        Write::Put(put) => matches!(put.mode, PutMode::Update(_)),
        Write::Delete { version, .. } => version.is_some(),
        _ => false,
    }
}

/// The versions of a transaction, where what is stored shows that an attempt whose answer was lost was applied: one
/// item that has its mark is enough. What was written over since has a version that no item has. `ours` is the version
/// of an item that has the mark.
pub fn applied_versions(
    writes: &[Write],
    mark: &str,
    ours: &dyn Fn(&Key) -> Option<Result<Version>>,
) -> Option<Result<Vec<Option<Version>>>> {
    let is_put = |write: &Write| !matches!(write, Write::Delete { .. });
    if !writes.iter().any(|write| is_put(write) && ours(write.key()).is_some()) {
        return None;
    }
    let answer = |write: &Write| match ours(write.key()) {
        _ if !is_put(write) => Ok(None),
        Some(version) => version.map(Some),
        None => Ok(Some(Version::new(format!("superseded-{mark}")))),
    };
    Some(writes.iter().map(answer).collect())
}
