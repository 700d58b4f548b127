//! Limits and quirks of Azure, from its documentation.
//!
//! Those of Cosmos DB, Blob Storage and Service Bus. Table Storage takes smaller items, and a Storage
//! Queue smaller messages; they refuse what is too large by themselves.

use std::time::Duration;

use isobar_abstraction::Profile;

use crate::key_value::{ITEM_BYTES, SORT_BYTES};

/// What Azure's services take.
///
/// Sources: the limits pages of Cosmos DB, Blob Storage, Service Bus and Functions.
pub static PROFILE: Profile = {
    let services =
        ["Functions custom handler", "Cosmos DB or Table Storage", "Blob Storage", "Service Bus or Storage Queues"];
    let mut profile = Profile::portable("azure", services);
    profile.limits.partition_bytes = 2_048;
    profile.limits.sort_bytes = SORT_BYTES;
    profile.limits.item_bytes = ITEM_BYTES;
    profile.limits.transaction_writes = 100;
    profile.limits.transaction_bytes = 2_097_152;
    profile.limits.counter = 9_007_199_254_740_991;
    // 256 KiB less what goes with a message.
    profile.limits.message_bytes = 262_144 - 4_096;
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
    profile.conditional_multipart = true;
    profile.notes = NOTES;
    profile
};

/// How Azure keeps the guarantees, by row of `mappings.md`.
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
