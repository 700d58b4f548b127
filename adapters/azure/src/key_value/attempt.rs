//! What both services need for a write that is tried more than once.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::key_value::{Key, put_of_sum, sum_of};
use isobar_abstraction::{Clock, Error, ErrorKind, KeyValue, Result};

use crate::profile::PROFILE;

/// Tries of what races for a counter. Of those who race one always wins, so that a hundred writers of one
/// counter all come to their turn.
pub(super) const COUNTER_TRIES: u32 = 100;

/// Waits between two tries: full jitter under 10 ms, doubling to 640 ms.
pub(super) async fn pause(clock: &dyn Clock, tries: u32) {
    let longest = 10_000 << tries.min(6);
    clock.pause(Duration::from_micros(fastrand::u64(0..=longest))).await;
}

/// 128 random bits. Errors: `Internal` where the machine has no randomness.
pub(super) fn random() -> Result<[u8; 16]> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| Error::internal("the machine has no randomness").with_source(error))?;
    Ok(bits)
}

/// 128 random bits as text, by which a write is known from all others. Errors: those of [`random`].
pub(super) fn unique() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random()?))
}

/// The error of a transaction whose answer was lost: what it added is under later additions, and what marked it
/// may have been deleted since. To send it again could add twice.
pub(super) fn not_known() -> Error {
    let message = "an answer was lost, and what is stored does not show whether the transaction was applied";
    Error::new(ErrorKind::Unavailable, message)
}

pub(super) fn taken(key: &Key) -> Error {
    Error::already_exists(format!("there is an item at `{key}`"))
}

pub(super) fn changed(key: &Key) -> Error {
    Error::conflict(format!("the item at `{key}` is gone, or was written since"))
}

/// Reads a counter, adds to it and writes it back over what was read. `None` where another write was faster,
/// and nothing was done.
pub(super) async fn write_back(store: &impl KeyValue, key: &Key, delta: i64) -> Result<Option<i64>> {
    let stored = store.get(key).await?;
    let put = put_of_sum(key, delta, stored, PROFILE.limits.counter)?;
    let sum = sum_of(&put)?;
    match store.put(put).await {
        Ok(_) => Ok(Some(sum)),
        // What may have been counted must not be counted again.
        Err(error) if error.outcome_unknown() => Err(error),
        Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => Ok(None),
        Err(error) => Err(error),
    }
}
