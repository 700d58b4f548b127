//! Limits and quirks of Google Cloud.

use std::time::Duration;

use isobar_abstraction::Profile;

use crate::key_value::{ITEM_BYTES, SORT_BYTES};

/// What Google Cloud's services take.
///
/// Sources: the quotas pages of Firestore, Cloud Storage, Pub/Sub and Cloud Run.
pub static PROFILE: Profile = {
    let services = ["Cloud Run functions", "Firestore", "Cloud Storage", "Pub/Sub"];
    let mut profile = Profile::portable("gcp", services);
    // An id has 1,500 bytes, of which one of a key may need three.
    profile.limits.partition_bytes = 498;
    profile.limits.sort_bytes = SORT_BYTES;
    profile.limits.item_bytes = ITEM_BYTES;
    profile.limits.transaction_writes = 500;
    profile.limits.transaction_bytes = 10_485_760;
    // A request of 10,000,000 bytes, in which a body stands in base64.
    profile.limits.message_bytes = 7_400_000;
    profile.limits.message_attributes = 100;
    profile.limits.ordering_key_bytes = 1_024;
    profile.limits.object_key_bytes = 1_024;
    profile.limits.metadata_bytes = 8_192;
    profile.limits.request_bytes = 33_554_432;
    profile.limits.response_bytes = 33_554_432;
    profile.limits.invoke_bytes = 33_554_432;
    profile.limits.http_timeout = Duration::from_secs(300);
    profile.limits.event_timeout = Duration::from_secs(540);
    profile.ttl_lag = Duration::from_secs(72 * 3_600);
    profile.conditional_multipart = true;
    profile.notes = NOTES;
    profile
};

/// How Google Cloud is to keep the guarantees, by row of `mappings.md`. Planned, not yet built.
const NOTES: &[(&str, &str)] = &[
    ("KV-2", "strong reads"),
    ("KV-4", "`currentDocument.exists`"),
    ("KV-5", "`currentDocument.updateTime`"),
    ("KV-6", "`updateTime`"),
    ("KV-8", "`batchGet`"),
    ("KV-9", "`runQuery` by document name"),
    ("KV-12", "partitioned query"),
    ("KV-13", "atomic `commit`"),
    ("KV-15", "`increment` transform"),
    ("KV-16", "TTL field, filter on read"),
    ("BL-4", "generation precondition"),
    ("BL-13", "V4 signed URL"),
    ("BL-14", "Eventarc"),
    ("PS-4", "dead-letter topic"),
    ("PS-7", "ordering key"),
];
