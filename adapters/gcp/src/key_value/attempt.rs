//! What a write needs that is tried more than once.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::key_value::Key;
use isobar_abstraction::{Clock, Error, ErrorKind, Result};

/// Waits between two tries: full jitter under 10 ms, doubling to 640 ms.
pub(super) async fn pause(clock: &dyn Clock, tries: u32) {
    let longest = 10_000 << tries.min(6);
    clock.pause(Duration::from_micros(fastrand::u64(0..=longest))).await;
}

/// 128 random bits as text, by which a write is known from all others. Errors: `Internal` where the machine
/// has no randomness.
pub(super) fn unique() -> Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| Error::internal("the machine has no randomness").with_source(error))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bits))
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
