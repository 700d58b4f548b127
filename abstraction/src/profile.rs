//! The limits and differences of a provider, as data.
//!
//! The checks of the portable types, the tables of `mappings.md` and the conformance suite use the same values, so that the
//! documentation cannot differ from the code.

mod rows;

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

pub use rows::{LIMITS, LimitRow, duration, number};

/// The limits of a provider's services.
///
/// A name with `bytes` is a size in bytes; a plural without it is a number. The portable types reject values beyond
/// [`Limits::PORTABLE`] on every provider with `TooLarge`, so that data can move between providers;
/// [`Cloud::allow_provider_limits`] replaces them with the provider's own limits. `mappings.md` lists the numbers of each
/// provider.
///
/// [`Cloud::allow_provider_limits`]: crate::Cloud::allow_provider_limits
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "portable_limits")]
#[non_exhaustive]
pub struct Limits {
    /// The partition of a key: 256 portable.
    pub partition_bytes: u64,
    /// The sort key of a key: 512 portable.
    pub sort_bytes: u64,
    /// The value of an item together with its partition and sort key: 390,000 portable.
    pub item_bytes: u64,
    /// The writes of one transaction: 100 portable.
    pub transaction_writes: u64,
    /// The keys and values of one transaction together, as JSON: 2,000,000 portable.
    pub transaction_bytes: u64,
    /// The largest absolute value of a counter: 2⁵³ − 1, the largest that every parser of JSON reads exactly
    /// ([RFC 8259, 6](https://www.rfc-editor.org/rfc/rfc8259#section-6)).
    pub counter_max_abs: i64,
    /// The body of a message together with the names and values of its attributes: 240,000 portable. A body that is not
    /// [`plain_text`](crate::pub_sub::plain_text) counts by its length in base64.
    pub message_bytes: u64,
    /// The attributes of a message: 8 portable.
    pub message_attributes: u64,
    /// The ordering key of a message, in ASCII characters: 128 portable.
    pub ordering_key_bytes: u64,
    /// The stored name of an object: 1,024 portable. See [`key`](crate::blob::key).
    pub object_key_bytes: u64,
    /// The names and values of the user metadata of an object together: 2,000 portable.
    pub metadata_bytes: u64,
    /// The headers of an HTTP request, including those of gateways and proxies: 100 portable. A header with two values counts
    /// twice.
    pub request_headers: u64,
    /// The target of an HTTP request together with the names and values of its headers: 10,000 portable.
    pub request_head_bytes: u64,
    /// The value of a secret or a configuration: 4,096 portable, that of
    /// [Parameter Store](https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html).
    pub secret_bytes: u64,
    /// The body of an HTTP request: 4,500,000 portable.
    pub request_bytes: u64,
    /// The body of an HTTP response: 4,500,000 portable.
    pub response_bytes: u64,
    /// The payload of a direct call, and its answer: 4,500,000 each portable.
    pub invoke_bytes: u64,
    /// The longest run of an HTTP handler: 29 seconds portable.
    #[serde(rename = "http_timeout_ms", with = "crate::clock::duration_millis")]
    pub http_timeout: Duration,
    /// The longest run of a handler of messages, object events, writes, schedules and direct calls: 5 minutes portable.
    #[serde(rename = "event_timeout_ms", with = "crate::clock::duration_millis")]
    pub event_timeout: Duration,
    /// The longest lifetime of a signed URL: 7 days portable.
    #[serde(rename = "signed_url_lifetime_ms", with = "crate::clock::duration_millis")]
    pub signed_url_lifetime: Duration,
    /// The longest delay of a message: 15 minutes portable, that of
    /// [SQS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html).
    #[serde(rename = "message_delay_ms", with = "crate::clock::duration_millis")]
    pub message_delay: Duration,
    /// The longest wait before a message, an object event or a write is delivered again: 6 hours portable.
    #[serde(rename = "retry_after_ms", with = "crate::clock::duration_millis")]
    pub retry_after: Duration,
    /// The same for a message with an ordering key: 20 seconds portable, up to 6 hours by provider. The later messages of the
    /// key wait too.
    #[serde(rename = "ordered_retry_after_ms", with = "crate::clock::duration_millis")]
    pub ordered_retry_after: Duration,
}

impl Limits {
    /// The portable limits: of each kind at most the smallest limit of all providers.
    pub const PORTABLE: Self = Self {
        partition_bytes: 256,
        sort_bytes: 512,
        item_bytes: 390_000,
        transaction_writes: 100,
        transaction_bytes: 2_000_000,
        counter_max_abs: 9_007_199_254_740_991,
        message_bytes: 240_000,
        message_attributes: 8,
        ordering_key_bytes: 128,
        object_key_bytes: 1_024,
        metadata_bytes: 2_000,
        secret_bytes: 4_096,
        request_headers: 100,
        request_head_bytes: 10_000,
        request_bytes: 4_500_000,
        response_bytes: 4_500_000,
        invoke_bytes: 4_500_000,
        http_timeout: Duration::from_secs(29),
        event_timeout: Duration::from_secs(300),
        signed_url_lifetime: Duration::from_secs(7 * 24 * 3600),
        message_delay: Duration::from_secs(15 * 60),
        retry_after: Duration::from_secs(6 * 3600),
        ordered_retry_after: Duration::from_secs(20),
    };

    /// The longest wait before a message with this ordering key, or without one, is delivered again.
    pub fn longest_retry(&self, ordering_key: Option<&str>) -> Duration {
        if ordering_key.is_some() { self.ordered_retry_after } else { self.retry_after }
    }
}

/// The limits and differences of one provider. A provider must have a static value of this type.
///
/// As JSON it has no notes, and what is missing is portable:
///
/// ```
/// use isobar_abstraction::driver::{Limits, Profile};
/// let profile: Profile = serde_json::from_str(r#"{"provider": "aws", "limits": {"http_timeout_ms": 1000}}"#)?;
/// assert_eq!((profile.provider, profile.limits.http_timeout.as_secs()), ("aws", 1));
/// assert_eq!(profile.limits.event_timeout, Limits::PORTABLE.event_timeout);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "portable_profile")]
#[non_exhaustive]
pub struct Profile {
    /// The name of the provider, as in its [`Adapter`](crate::provider::Adapter): `memory`, `local`, `aws`, `azure`, `gcp`, or
    /// another. Reading it from JSON leaks it.
    #[serde(deserialize_with = "leaked")]
    pub provider: Name,
    /// The provider's own limits.
    pub limits: Limits,
    /// The longest time after its expiry for which an item is still stored, [`Duration::MAX`] if nothing deletes it. No read
    /// returns it then.
    #[serde(rename = "ttl_lag_ms", with = "crate::clock::duration_millis")]
    pub ttl_lag: Duration,
    /// Can a multipart write have a condition?
    pub conditional_multipart: bool,
    /// May a message arrive twice, and one without an ordering key in any order, although no process ended? A portable app
    /// must expect it.
    pub loose_delivery: bool,
    /// How the provider keeps a guarantee, by row of `mappings.md`, such as `("KV-2", "`ConsistentRead`")`.
    #[serde(skip)]
    pub notes: &'static [(&'static str, &'static str)],
}

impl Profile {
    /// A profile with the portable limits, no delay of expiry, no conditional multipart write and loose delivery.
    pub const fn portable(provider: &'static str) -> Self {
        let (limits, ttl_lag) = (Limits::PORTABLE, Duration::ZERO);
        Self { provider, limits, ttl_lag, conditional_multipart: false, loose_delivery: true, notes: &[] }
    }
}

/// An alias, because serde would borrow a `&str` from its input.
type Name = &'static str;

fn leaked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    String::deserialize(deserializer).map(|name| &*name.leak())
}

fn portable_limits() -> Limits {
    Limits::PORTABLE
}

fn portable_profile() -> Profile {
    Profile::portable("portable")
}
