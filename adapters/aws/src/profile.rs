//! Limits and peculiarities of AWS from its documentation.

use std::time::Duration;

use isobar_abstraction::driver::Profile;

/// The largest item in DynamoDB, including the names of attributes.
/// Source: "Quotas in Amazon DynamoDB", items.
const DYNAMO_ITEM_BYTES: u64 = 400 * 1024;

/// The largest sort key in DynamoDB.
const DYNAMO_SORT_BYTES: u64 = 1_024;

/// The largest number in DynamoDB. Source: "DynamoDB Item sizes and formats".
const DYNAMO_NUMBER_BYTES: u64 = 21;

/// The length of a version: 128 bits in base64.
const VERSION_BYTES: u64 = 22;

/// The longest sort key, which leaves room for the mark.
pub(crate) const SORT_BYTES: u64 = DYNAMO_SORT_BYTES - 1;

/// The largest value together with both keys.
pub(crate) const ITEM_BYTES: u64 = {
    let names = "pk".len() + "sk".len() + "value".len() + "version".len() + "expires".len() + "ttl".len();
    DYNAMO_ITEM_BYTES - names as u64 - 1 - VERSION_BYTES - 2 * DYNAMO_NUMBER_BYTES
};

/// The largest sum of values and keys in one transaction of 100 writes.
/// Source: "Amazon DynamoDB Transactions: How it works".
pub(crate) const TRANSACTION_BYTES: u64 = 4 * 1024 * 1024 - 100 * (DYNAMO_ITEM_BYTES - ITEM_BYTES);

/// The most parts of an upload to S3: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub(crate) const MOST_PARTS: usize = 10_000;

/// The limits and peculiarities of AWS's services.
///
/// Sources: the quotas pages of DynamoDB, S3, SNS, SQS, Lambda and API Gateway.
pub static PROFILE: Profile = {
    let mut profile = Profile::portable("aws");
    profile.limits.partition_bytes = 2_048;
    profile.limits.sort_bytes = SORT_BYTES;
    profile.limits.item_bytes = ITEM_BYTES;
    profile.limits.transaction_writes = 100;
    profile.limits.transaction_bytes = TRANSACTION_BYTES;
    // 256 KiB less the message's trace, its metadata and the types of its attributes.
    profile.limits.message_bytes = 262_144 - 2_048;
    profile.limits.message_attributes = 10;
    profile.limits.ordering_key_bytes = 128;
    profile.limits.object_key_bytes = 1_024;
    profile.limits.metadata_bytes = 2_048;
    // Secrets Manager; Parameter Store has 4,096, or 8,192 in its advanced tier.
    profile.limits.secret_bytes = 65_536;
    // API Gateway limits the size of a head but not the number of headers.
    profile.limits.request_headers = 1_000;
    profile.limits.request_head_bytes = 10_240;
    // 6 MiB less the JSON around a body, in base64.
    profile.limits.request_bytes = 4_600_000;
    profile.limits.response_bytes = 4_600_000;
    // 6 MiB less the envelope around a direct call.
    profile.limits.invoke_bytes = 6_291_456 - 1_024;
    profile.limits.http_timeout = Duration::from_secs(29);
    profile.limits.event_timeout = Duration::from_secs(900);
    // A message of either kind of queue can be delayed for the 12 hours that SQS allows.
    profile.limits.ordered_retry_after = profile.limits.retry_after;
    profile.ttl_lag = Duration::from_secs(48 * 3_600);
    profile.conditional_multipart = true;
    profile.notes = NOTES;
    profile
};

/// How AWS keeps the guarantees, by row of `mappings.md`.
const NOTES: &[(&str, &str)] = &[
    ("KV-1", "text as `S`, an integer as `N`, other bytes as `B`"),
    ("KV-2", "`ConsistentRead`"),
    ("KV-3", "one `!` before a sort key that is empty or begins with a character up to `!`"),
    ("KV-4", "condition `attribute_not_exists`"),
    ("KV-5", "condition on a version attribute"),
    ("KV-6", "128 random bits for each write"),
    ("KV-8", "`BatchGetItem`, unprocessed keys asked again"),
    ("KV-9", "`Query` on the sort key"),
    ("KV-10", "`BETWEEN` on the sort key"),
    ("KV-11", "`ExclusiveStartKey`"),
    ("KV-12", "parallel `Scan`"),
    ("KV-13", "`TransactWriteItems` with a token; counters by `ADD`"),
    ("KV-15", "`ADD` under a condition"),
    ("KV-16", "a condition and a filter on read; TTL attribute, deleted within days"),
    ("KV-21", "one request is one write"),
    ("KV-22", "stored in several zones before the call returns"),
    ("KV-26", "DynamoDB Streams; the host puts the keys into an SQS queue"),
    ("KV-27", "`BatchWriteItem`, unprocessed items sent again; puts with a condition by `PutItem`"),
    ("BL-4", "`If-Match`"),
    ("BL-12", "`CopyObject`, from 512 MiB on `UploadPartCopy`, with `If-None-Match`"),
    ("BL-13", "presigned URL, good no longer than the credentials that signed it"),
    ("BL-14", "S3 event notification"),
    ("BL-19", "an ETag, which writes of equal content share"),
    ("BL-24", "S3 notifies an SNS topic, which has an SQS queue for each trigger"),
    ("PS-3", "`ChangeMessageVisibility`"),
    ("PS-6", "partial batch response"),
    ("PS-7", "FIFO message group"),
    ("PS-15", "an SQS queue for each subscription"),
    ("PS-16", "`ChangeMessageVisibility` by the host that receives it early"),
    ("SE-1", "`GetParameter` with decryption, or `GetSecretValue`"),
];
