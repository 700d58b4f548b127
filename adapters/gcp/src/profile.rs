//! Limits and guarantees of Google Cloud.

use std::time::Duration;

use isobar_abstraction::driver::Profile;

/// The maximum size of a document id. Source: "Quotas and limits" of Firestore.
pub(crate) const ID_BYTES: usize = 1_500;

/// The maximum size of a partition whose id fits, for any bytes.
pub(crate) const PARTITION_BYTES: u64 = (ID_BYTES as u64 - 4) / 3;

/// The maximum size of a sort key whose id fits, for any bytes.
pub(crate) const SORT_BYTES: u64 = (ID_BYTES as u64 - 1) / 2;

/// The maximum size of a value with its keys: a document has 1 MiB less 4 bytes, including its name and all its
/// fields.
const ITEM_BYTES: u64 = 1_048_572 - 8_192;

/// The limits and guarantees of Google Cloud's services.
///
/// Sources: the quotas pages of Firestore, Cloud Storage, Pub/Sub and Cloud Run.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("gcp");
    profile.limits.partition_bytes = PARTITION_BYTES;
    profile.limits.sort_bytes = SORT_BYTES;
    profile.limits.item_bytes = ITEM_BYTES;
    profile.limits.transaction_writes = 500;
    // A request of 10 MiB, in which bytes are base64.
    profile.limits.transaction_bytes = 7_000_000;
    // A request of 10,000,000 bytes, in which the body is base64.
    profile.limits.message_bytes = 7_400_000;
    profile.limits.message_attributes = 100;
    profile.limits.ordering_key_bytes = 1_024;
    profile.limits.object_key_bytes = 1_024;
    profile.limits.metadata_bytes = 8_192;
    // <https://cloud.google.com/secret-manager/quotas>
    profile.limits.secret_bytes = 65_536;
    // An unwrapped push has the attributes of its message and about 20 headers of Pub/Sub and Cloud Run.
    profile.limits.request_headers = 160;
    profile.limits.request_head_bytes = 256_000;
    profile.limits.request_bytes = 33_554_432;
    profile.limits.response_bytes = 33_554_432;
    profile.limits.invoke_bytes = 33_554_432;
    profile.limits.http_timeout = Duration::from_secs(300);
    profile.limits.event_timeout = Duration::from_secs(540);
    // The time that a response is delayed; the backoff of the subscription follows.
    profile.limits.ordered_retry_after = Duration::from_secs(20);
    profile.ttl_lag = Duration::from_secs(72 * 3_600);
    profile.conditional_multipart = true;
    profile.notes = NOTES;
    profile
};

/// How Google Cloud meets the guarantees, by row of `mappings.md`.
const NOTES: &[(&str, &str)] = &[
    ("KV-1", "text as a string, a counter as an integer, other bytes as bytes"),
    ("KV-2", "strong reads"),
    ("KV-3", "escaped ids, and fields with the unescaped keys"),
    ("KV-4", "`currentDocument.exists`"),
    ("KV-5", "`currentDocument.updateTime`"),
    ("KV-6", "`updateTime`, and a hash of the item's name: writes of one transaction share their time"),
    ("KV-8", "`batchGet`"),
    ("KV-9", "`runQuery` below one document, ordered by a field; its indexes are Firestore's own"),
    ("KV-12", "ranges of the hashes in the names of partitions"),
    ("KV-13", "atomic `commit`; counters by `updateTime` and retry"),
    ("KV-15", "`increment` transform, after a read of the counter; near 2^52 a write under `updateTime`"),
    ("KV-16", "filter on read; a TTL policy deletes"),
    ("KV-26", "Firestore through Eventarc; the host puts the keys into a topic"),
    ("KV-27", "`commit` of up to 400 items"),
    ("BL-4", "`ifGenerationMatch`"),
    ("BL-13", "V4 signed URL, by a service account's key or `signBlob`"),
    ("BL-14", "notifications through Pub/Sub; Eventarc does not distinguish a deletion from an overwrite"),
    ("BL-15", "resumable upload under `ifGenerationMatch`"),
    ("BL-19", "`generation`"),
    ("BL-24", "one notification of the bucket, and a subscription of its topic for each trigger"),
    ("PS-3", "a copy with its due time; a message with a key waits at most 20 s more than the subscription's backoff"),
    ("PS-4", "topic `--dead` of each subscription, the reason as attributes"),
    ("PS-5", "topic `--dead`"),
    ("PS-7", "ordering key; a request has one key only"),
    ("PS-8", "up to 1,000 messages and 10,000,000 bytes in a request"),
    ("PS-15", "a subscription with a filter; dead letters name theirs"),
    ("PS-16", "a due time in the attributes: the host returns the message until then"),
    ("FN-6", "less than the 300 s of Cloud Run's default"),
    ("SE-1", "`versions/latest:access`"),
];
