//! Attempts of a conditional write: identifiers, backoff and errors, the same for all key-value services.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::key_value::{Item, Key, KeyValue, PutMode, Version, Write, put_of_sum, sum_of};
use isobar_abstraction::{Error, ErrorKind, Origin, Result};

/// The most attempts of an addition to a contended counter. One of the competing writers always succeeds, so that a
/// hundred writers of one counter all succeed within this limit.
pub const COUNTER_ATTEMPTS: u32 = 100;

/// Waits between two attempts: full jitter under 10 ms, doubling to 640 ms.
pub async fn pause(clock: &dyn Clock, attempts: u32) {
    let longest = 10_000 << attempts.min(6);
    clock.pause(Duration::from_micros(fastrand::u64(0..=longest))).await;
}

/// 128 random bits. Errors: `Internal` where the operating system returns no random bytes.
pub fn random_bits() -> Result<[u8; 16]> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)
        .map_err(|error| Error::internal("the operating system returned no random bytes").with_source(error))?;
    Ok(bits)
}

/// 128 random bits as 22 characters, which identify a write. Errors: those of [`random_bits`].
pub fn unique_id() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random_bits()?))
}

/// The error of a create where the item exists.
pub fn already_exists(key: &Key) -> Error {
    Error::already_exists(format!("there is an item at `{key}`"))
}

/// The error of a write whose expected version is not the stored one.
pub fn version_conflict(key: &Key) -> Error {
    Error::conflict(format!("the item at `{key}` was deleted or written since it was read"))
}

/// The error of a write that was throttled, or that other writes prevented.
pub fn throttled(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Throttled, message)
}

/// The error of an addition that lost all its attempts to other writers. `advice` is the next step for the user.
pub fn counter_contention(key: &Key, attempts: u32, advice: &str) -> Error {
    Error::conflict(format!("lost {attempts} races for the counter at `{key}`; {advice}")).with_origin(Origin::Service)
}

/// The error of a transaction whose response was lost, where the stored items do not show whether it was applied: later
/// additions hide its own, and the item that carried its mark may be deleted. A second attempt could add twice.
pub fn transaction_outcome_unknown() -> Error {
    let message = "a response was lost, and the stored items do not show whether the transaction was applied";
    Error::new(ErrorKind::Unavailable, message)
}

/// Adds to a counter that was read and writes the sum on condition that the item is still in that version. Returns `None`
/// where another write was faster; nothing was written then. Errors: `InvalidInput` where the item is not a counter, and
/// those of the write.
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
        // An addition that may have been applied must not be applied again.
        Err(error) if error.outcome_unknown() => Err(error),
        Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a write requires a version.
pub fn requires_version(write: &Write) -> bool {
    match write {
        Write::Put(put) => matches!(put.mode, PutMode::Update(_)),
        Write::Delete { version, .. } => version.is_some(),
        _ => false,
    }
}

/// The versions that a transaction wrote, where the stored items show that an attempt with a lost response was applied:
/// one item with its mark is enough. For an item that was overwritten since, the result is a version that no item has.
/// `marked` returns the version of an item that has the mark.
pub fn applied_versions(
    writes: &[Write],
    mark: &str,
    marked: &dyn Fn(&Key) -> Option<Result<Version>>,
) -> Option<Result<Vec<Option<Version>>>> {
    let is_put = |write: &Write| !matches!(write, Write::Delete { .. });
    if !writes.iter().any(|write| is_put(write) && marked(write.key()).is_some()) {
        return None;
    }
    let version = |write: &Write| match marked(write.key()) {
        _ if !is_put(write) => Ok(None),
        Some(version) => version.map(Some),
        None => Ok(Some(Version::new(format!("superseded-{mark}")))),
    };
    Some(writes.iter().map(version).collect())
}
