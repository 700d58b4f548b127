//! Limits and quirks of Azure, from its documentation; no trial has run against it yet.

use std::time::Duration;

use isobar_abstraction::Profile;

/// What Azure's services take.
///
/// Sources: the limits pages of Cosmos DB, Blob Storage, Service Bus and Functions.
pub static PROFILE: Profile = {
    let services =
        ["Functions custom handler", "Cosmos DB or Table Storage", "Blob Storage", "Service Bus or Storage Queues"];
    let mut profile = Profile::portable("azure", services);
    profile.limits.partition_bytes = 2_048;
    profile.limits.sort_bytes = 1_023;
    profile.limits.item_bytes = 2_097_152;
    profile.limits.transaction_writes = 100;
    profile.limits.transaction_bytes = 2_097_152;
    profile.limits.counter = 9_007_199_254_740_991;
    profile.limits.message_bytes = 262_144;
    profile.limits.message_attributes = 64;
    profile.limits.ordering_key_bytes = 128;
    profile.limits.object_key_bytes = 1_024;
    profile.limits.metadata_bytes = 8_192;
    profile.limits.request_bytes = 104_857_600;
    profile.limits.response_bytes = 104_857_600;
    profile.limits.invoke_bytes = 104_857_600;
    profile.limits.http_timeout = Duration::from_secs(230);
    profile.limits.event_timeout = Duration::from_secs(300);
    profile.ttl_lag = Duration::from_secs(24 * 3_600);
    profile.notes = NOTES;
    profile
};

/// How Azure is to keep the guarantees, by row of `mappings.md`. Planned, not yet built.
const NOTES: &[(&str, &str)] = &[
    ("KV-2", "session token"),
    ("KV-4", "create without upsert"),
    ("KV-5", "`If-Match`"),
    ("KV-6", "ETag"),
    ("KV-9", "query in one partition, ordered by a sort property"),
    ("KV-13", "transactional batch"),
    ("KV-15", "patch increment"),
    ("KV-16", "`ttl`, filter on read"),
    ("BL-4", "`If-Match`"),
    ("BL-13", "SAS; a PUT needs `x-ms-blob-type`"),
    ("BL-14", "Event Grid"),
    ("PS-5", "dead-letter queue"),
    ("PS-7", "session"),
];
