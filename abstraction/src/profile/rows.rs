//! The limits as rows of a table, for tools.

use std::time::Duration;

use super::Limits;

/// The name of a limit, the row of `mappings.md` whose trials check it, and its value as text.
pub type LimitRow = (&'static str, &'static str, fn(&Limits) -> String);

/// The limits, as `mappings.md` lists them. In bytes unless a unit is stated.
pub const LIMITS: &[LimitRow] = &[
    ("partition key", "KV-18", |limits| number(limits.partition_bytes)),
    ("sort key", "KV-18", |limits| number(limits.sort_bytes)),
    ("item, keys and value", "KV-18", |limits| number(limits.item_bytes)),
    ("writes in a transaction", "KV-14", |limits| number(limits.transaction_writes)),
    ("transaction", "KV-14", |limits| number(limits.transaction_bytes)),
    ("counter, ±", "KV-15", |limits| number(limits.counter_max_abs.unsigned_abs())),
    ("message, body and attributes", "PS-9", |limits| number(limits.message_bytes)),
    ("attributes of a message", "PS-9", |limits| number(limits.message_attributes)),
    ("ordering key", "PS-9", |limits| number(limits.ordering_key_bytes)),
    ("object key, as stored", "BL-17", |limits| number(limits.object_key_bytes)),
    ("metadata of an object", "BL-17", |limits| number(limits.metadata_bytes)),
    ("secret or configuration", "SE-8", |limits| number(limits.secret_bytes)),
    ("headers of an HTTP request", "FN-11", |limits| number(limits.request_headers)),
    ("HTTP request target and headers", "FN-11", |limits| number(limits.request_head_bytes)),
    ("HTTP request body", "FN-2", |limits| number(limits.request_bytes)),
    ("HTTP response body", "FN-2", |limits| number(limits.response_bytes)),
    ("payload of a direct call", "FN-4", |limits| number(limits.invoke_bytes)),
    ("run of an HTTP handler", "FN-6", |limits| duration(limits.http_timeout)),
    ("run of any other handler", "FN-6", |limits| duration(limits.event_timeout)),
    ("life of a signed URL", "BL-13", |limits| duration(limits.signed_url_lifetime)),
    ("wait before a message is delivered again", "PS-3", |limits| duration(limits.retry_after)),
    ("the same wait with an ordering key", "PS-3", |limits| duration(limits.ordered_retry_after)),
    ("delay of a message", "PS-16", |limits| duration(limits.message_delay)),
];

/// A number in groups of three digits, such as `4,500,000`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(",")
}

/// A duration in its largest whole unit, such as `15 d`.
pub fn duration(value: Duration) -> String {
    match value.as_secs() {
        0 => "0".to_owned(),
        seconds if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds => format!("{seconds} s"),
    }
}
