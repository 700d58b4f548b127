//! Limits and notes of the local provider.

use std::time::Duration;

use isobar_abstraction::driver::{Limits, Profile, duration};

/// The limits of the local provider.
///
/// Most of them could be higher: it has the portable limits, so that an app which works on a laptop works
/// everywhere.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("local");
    profile.limits = Limits::PORTABLE;
    profile.limits.ordered_retry_after = profile.limits.retry_after;
    profile.ttl_lag = Duration::from_secs(60);
    profile.conditional_multipart = true;
    profile.loose_delivery = false;
    profile.notes = NOTES;
    profile
};

/// The profile of the local provider with the limits and differences of another one.
pub(crate) fn imitating(target: &Profile) -> Profile {
    let mut profile = *target;
    (profile.provider, profile.notes) = (PROFILE.provider, NOTES);
    profile
}

/// What an app observes of the limits and differences of a target that the local provider imitates: one line.
pub fn describe(target: &Profile) -> String {
    let Limits { http_timeout, event_timeout, ordered_retry_after, .. } = target.limits;
    let mut parts = vec![
        format!("handlers run up to {} (HTTP) or {}", duration(http_timeout), duration(event_timeout)),
        format!("a retry with an ordering key waits up to {}", duration(ordered_retry_after)),
    ];
    if target.loose_delivery {
        parts.insert(0, "messages without an ordering key in no order, some twice".to_owned());
    }
    if !target.conditional_multipart {
        parts.push("no condition on a large upload".to_owned());
    }
    format!("{}: {}", target.provider, parts.join("; "))
}

/// How the local provider implements the guarantees, by row of `mappings.md`.
const NOTES: &[(&str, &str)] = &[
    ("KV-2", "one writer; a read sees the last commit"),
    ("KV-3", "keys are redb tuples, not escaped"),
    ("KV-6", "a number that is never used twice, stored in the file"),
    ("KV-11", "range read after the last key"),
    ("KV-12", "hash of the key"),
    ("KV-13", "one redb transaction"),
    ("KV-15", "read and write in one redb transaction"),
    ("KV-16", "filtered on read, deleted within a minute"),
    ("KV-21", "the write continues without its caller"),
    ("KV-22", "fsync before the call returns; writers share it (group commit)"),
    ("KV-27", "one redb transaction for all"),
    ("BL-2", "content is in files with generated names; keys are only in redb"),
    ("BL-5", "content is written and synced first, then one redb transaction makes it visible"),
    ("BL-13", "HMAC-SHA256, served under `/.isobar/objects/`"),
    ("BL-14", "enqueued in the transaction of the write"),
    ("BL-20", "content and folder are synced before the call returns"),
    ("PS-1", "at least once; a crash delivers again"),
    ("PS-2", "attempts are counted durably before the handler runs"),
    ("PS-7", "only the oldest message of a key is due"),
    ("PS-14", "fsync before `publish` returns"),
    ("FN-2", "4.5 MB each way, streamed"),
    ("FN-5", "ticks missed while no process ran are delivered as one at start"),
    ("SE-1", "the file `secrets.json`, read only by its owner"),
];
