//! Limits and quirks of a provider, as data.

use std::time::Duration;

/// What a provider's services take at most.
///
/// A name with `bytes` is a size in bytes; a plural counts what it names. The portable types refuse
/// what [`Limits::PORTABLE`] forbids, on every provider, so that data can move from day one;
/// [`Cloud::allow_provider_limits`] puts the provider's own limits in their place.
///
/// [`Cloud::allow_provider_limits`]: crate::Cloud::allow_provider_limits
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Partition key of an item.
    pub partition_bytes: u64,
    /// Sort key of an item.
    pub sort_bytes: u64,
    /// Value of an item together with both of its keys.
    pub item_bytes: u64,
    /// Writes in one transaction.
    pub transaction_writes: u64,
    /// Values and keys of one transaction together.
    pub transaction_bytes: u64,
    /// Largest absolute value of a counter.
    pub counter_max_abs: i64,
    /// Body of a message together with its attributes' names and values. A body that is not
    /// [`plain_text`](crate::pub_sub::plain_text) counts by its length in base64.
    pub message_bytes: u64,
    /// Attributes of a message.
    pub message_attributes: u64,
    /// Ordering key of a message, in ASCII characters.
    pub ordering_key_bytes: u64,
    /// Key of an object, as it is stored.
    pub object_key_bytes: u64,
    /// User metadata of an object: names and values together.
    pub metadata_bytes: u64,
    /// Headers of an HTTP request, with those that gateways and proxies added. A header with two values counts twice.
    pub request_headers: u64,
    /// Target of an HTTP request together with the names and values of its headers.
    pub request_head_bytes: u64,
    /// Body of an HTTP request.
    pub request_bytes: u64,
    /// Body of an HTTP response.
    pub response_bytes: u64,
    /// Payload and answer of a direct invocation.
    pub invoke_bytes: u64,
    /// Longest run of an HTTP handler.
    pub http_timeout: Duration,
    /// Longest run of a handler of messages, objects, schedules and direct invocations.
    pub event_timeout: Duration,
    /// Longest life of a signed URL.
    pub signed_url_lifetime: Duration,
    /// Longest wait before a message or an object event is delivered again.
    pub retry_after: Duration,
    /// The same for a message with an ordering key. Providers differ: the later messages of its key wait as long.
    pub ordered_retry_after: Duration,
}

impl Limits {
    /// What every provider can do: the smallest limit of each kind over all of them.
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
        request_headers: 100,
        request_head_bytes: 10_000,
        request_bytes: 4_500_000,
        response_bytes: 4_500_000,
        invoke_bytes: 4_500_000,
        http_timeout: Duration::from_secs(29),
        event_timeout: Duration::from_secs(300),
        signed_url_lifetime: Duration::from_secs(7 * 24 * 3600),
        retry_after: Duration::from_secs(6 * 3600),
        ordered_retry_after: Duration::from_secs(20),
    };

    /// The longest wait before a message is delivered again that has an ordering key, or has none.
    pub fn longest_retry(&self, ordering_key: Option<&str>) -> Duration {
        if ordering_key.is_some() { self.ordered_retry_after } else { self.retry_after }
    }
}

/// One provider's limits and quirks: the single source of the portable checks, of `mappings.md`
/// and of portability reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The provider's name, as in its [`Adapter`](crate::provider::Adapter): `memory`, `local`, `aws`, `azure`, `gcp`, or another's.
    pub provider: &'static str,
    /// The provider's own limits.
    pub limits: Limits,
    /// How long after its expiry an item may still lie in the store, unseen by any read.
    pub ttl_lag: Duration,
    /// Can a multipart write carry a condition?
    pub conditional_multipart: bool,
    /// How the provider keeps a guarantee, by row of `mappings.md`: `("KV-4", "ConsistentRead")`.
    pub notes: &'static [(&'static str, &'static str)],
}

impl Profile {
    /// A profile that promises what is portable and nothing more.
    pub const fn portable(provider: &'static str) -> Self {
        let (limits, ttl_lag) = (Limits::PORTABLE, Duration::ZERO);
        Self { provider, limits, ttl_lag, conditional_multipart: false, notes: &[] }
    }
}
