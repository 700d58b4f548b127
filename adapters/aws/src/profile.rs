//! Limits and quirks of AWS, from its documentation; no trial has run against it yet.

use std::time::Duration;

use isobar_abstraction::Profile;

/// What AWS's services take.
///
/// Sources: the quotas pages of DynamoDB, S3, SNS, SQS, Lambda and API Gateway.
pub static PROFILE: Profile = {
    let services = ["Lambda", "DynamoDB", "S3", "SNS and SQS"];
    let mut profile = Profile::portable("aws", services);
    profile.limits.partition_bytes = 2_048;
    profile.limits.sort_bytes = 1_024;
    profile.limits.item_bytes = 409_600;
    profile.limits.transaction_writes = 100;
    profile.limits.transaction_bytes = 4_194_304;
    profile.limits.counter = i64::MAX;
    profile.limits.message_bytes = 262_144;
    profile.limits.message_attributes = 10;
    profile.limits.ordering_key_bytes = 128;
    profile.limits.object_key_bytes = 1_024;
    profile.limits.metadata_bytes = 2_048;
    profile.limits.request_bytes = 4_718_592;
    profile.limits.response_bytes = 4_718_592;
    profile.limits.invoke_bytes = 6_291_456;
    profile.limits.http_timeout = Duration::from_secs(29);
    profile.limits.event_timeout = Duration::from_secs(900);
    profile.ttl_lag = Duration::from_secs(48 * 3_600);
    profile.notes = NOTES;
    profile
};

/// How AWS is to keep the guarantees, by row of `mappings.md`. Planned, not yet built.
const NOTES: &[(&str, &str)] = &[
    ("KV-2", "`ConsistentRead`"),
    ("KV-4", "condition `attribute_not_exists`"),
    ("KV-5", "condition on a version attribute"),
    ("KV-6", "a random version for each write"),
    ("KV-8", "`BatchGetItem`, unprocessed keys asked again"),
    ("KV-9", "`Query` on the sort key"),
    ("KV-12", "parallel `Scan`"),
    ("KV-13", "`TransactWriteItems`"),
    ("KV-15", "`ADD`"),
    ("KV-16", "TTL attribute, filter on read"),
    ("BL-4", "`If-Match`"),
    ("BL-13", "presigned URL"),
    ("BL-14", "S3 event notification"),
    ("PS-3", "`ChangeMessageVisibility`"),
    ("PS-6", "partial batch response"),
    ("PS-7", "FIFO message group"),
];
