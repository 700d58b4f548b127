//! Limits and quirks of Azure, from its documentation.
//!
//! The limits are those of Cosmos DB, Blob Storage and Service Bus. Table Storage has a smaller limit for items, and
//! Storage Queues for messages; their drivers check these themselves.

use std::time::Duration;

use isobar_abstraction::driver::Profile;

/// The longest id of an item. Source: "Azure Cosmos DB service quotas", per-item limits.
const ID_BYTES: u64 = 1_023;

/// The longest sort key whose id fits.
pub(crate) const SORT_BYTES: u64 = (ID_BYTES - 1) * 3 / 4;

/// The longest value with its keys that fits, whatever its bytes are.
pub(crate) const ITEM_BYTES: u64 = 1_500_000;

/// The most parts of an upload: <https://learn.microsoft.com/azure/storage/blobs/scalability-targets>.
pub(crate) const MOST_PARTS: usize = 50_000;

/// The profile of Azure.
///
/// Sources: the limits pages of Cosmos DB, Blob Storage, Service Bus and Functions.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("azure");
    profile.limits.partition_bytes = 2_048;
    profile.limits.sort_bytes = SORT_BYTES;
    profile.limits.item_bytes = ITEM_BYTES;
    profile.limits.transaction_writes = 100;
    profile.limits.transaction_bytes = 2_097_152;
    profile.limits.counter_max_abs = 9_007_199_254_740_991;
    // 256 KiB, less the properties of a message.
    profile.limits.message_bytes = 262_144 - 4_096;
    profile.limits.message_attributes = 64;
    profile.limits.ordering_key_bytes = 128;
    profile.limits.object_key_bytes = 1_024;
    profile.limits.metadata_bytes = 8_192;
    // <https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>
    profile.limits.secret_bytes = 25_600;
    // Kestrel, in the Functions host, reads at most 100 headers, of 32,768 bytes in total.
    profile.limits.request_headers = 100;
    profile.limits.request_head_bytes = 32_768;
    profile.limits.request_bytes = 104_857_600;
    profile.limits.response_bytes = 104_857_600;
    profile.limits.invoke_bytes = 104_857_600;
    profile.limits.http_timeout = Duration::from_secs(230);
    profile.limits.event_timeout = Duration::from_secs(300);
    // The response is held back for this time: the host renews the lock of a session for five minutes only.
    profile.limits.ordered_retry_after = Duration::from_secs(60);
    profile.ttl_lag = Duration::from_secs(24 * 3_600);
    profile.conditional_multipart = true;
    profile.notes = NOTES;
    profile
};

/// How Azure keeps the guarantees, by row of `mappings.md`.
const NOTES: &[(&str, &str)] = &[
    ("KV-1", "text as a string, an integer as a number, other bytes in base64"),
    ("KV-2", "session token, shared by all handles of a container"),
    ("KV-3", "base64url of the sort key as the id, and a property for the order"),
    ("KV-4", "create without upsert"),
    ("KV-5", "replace with `If-Match`, never upsert"),
    ("KV-6", "ETag"),
    ("KV-9", "query in one partition, ordered by a sort property; descending in Table Storage halves keys"),
    ("KV-12", "ranges of partition keys"),
    ("KV-13", "transactional batch; entity group transaction in Table Storage; counters by ETag and retry"),
    ("KV-15", "patch increment under a condition; ETag and retry in Table Storage"),
    ("KV-16", "filter on read; `ttl` deletes in Cosmos DB, nothing does in Table Storage"),
    ("KV-26", "change feed of Cosmos DB, through a Storage Queue; Table Storage has none"),
    ("KV-27", "transactional batches of one partition; entity group transactions in Table Storage"),
    ("BL-4", "`If-Match`"),
    ("BL-13", "SAS, of the key or of an identity; a PUT needs `x-ms-blob-type`"),
    ("BL-14", "Event Grid, through a queue"),
    ("BL-24", "a Storage Queue for each trigger, with an Event Grid subscription of its own"),
    (
        "PS-3",
        "a copy that becomes visible later; a message with a key waits at most a minute, while its response is held back",
    ),
    ("PS-5", "queue `--dead` of Service Bus, `-poison` of Storage"),
    ("PS-7", "session of Service Bus; a Storage Queue rejects ordering keys"),
    ("PS-9", "a Storage Queue takes 44,544 bytes"),
    ("PS-15", "subscriptions of Service Bus; a topic in a Storage Queue has one"),
    ("PS-16", "scheduled message of Service Bus; visibility timeout of a Storage Queue"),
    ("SE-1", "the newest version in the vault of `ISOBAR_SECRETS`"),
];
