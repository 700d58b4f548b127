//! Pushes of Pub/Sub, wrapped and unwrapped.
//!
//! Source: <https://docs.cloud.google.com/pubsub/docs/payload-unwrapping>.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use isobar_abstraction::clock;
use serde_json::Value;

use super::Rejection;
use crate::pub_sub::wire::PubsubMessage;

const MESSAGE_ID: &str = "x-goog-pubsub-message-id";
const PUBLISH_TIME: &str = "x-goog-pubsub-publish-time";
const ORDERING_KEY: &str = "x-goog-pubsub-ordering-key";
const SUBSCRIPTION: &str = "x-goog-pubsub-subscription-name";
const DELIVERY_ATTEMPT: &str = "x-goog-pubsub-delivery-attempt";

/// Headers that the pushing client and Cloud Run's front end add, which are not attributes of a message.
const TRANSPORT_HEADERS: [&str; 15] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "forwarded",
    "from",
    "host",
    "transfer-encoding",
    "tracestate",
    "user-agent",
    "via",
    "x-cloud-trace-context",
    "x-serverless-authorization",
];

/// Whether the request is an unwrapped push. Events of Eventarc have the same header, but are CloudEvents with a type
/// of Google.
pub(super) fn is_unwrapped(headers: &HeaderMap) -> bool {
    headers.contains_key(MESSAGE_ID)
        && !headers.get("ce-type").is_some_and(|kind| kind.as_bytes().starts_with(b"google."))
}

/// A message and its delivery.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) message: PubsubMessage,
    /// The name of the subscription, without its project.
    pub(crate) subscription: Option<String>,
    /// The delivery attempt. Pub/Sub counts attempts only for subscriptions with a dead-letter policy.
    pub(crate) attempt: Option<u32>,
}

impl Push {
    /// Reads `{"message": {…}, "subscription": "projects/P/subscriptions/S", "deliveryAttempt": 5}`.
    pub(super) fn wrapped(value: &Value) -> Result<Self, Rejection> {
        let message = PubsubMessage::read(&value["message"])?;
        let subscription = value["subscription"].as_str().map(last);
        let attempt = value["deliveryAttempt"].as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Self { message, subscription, attempt })
    }

    /// Reads a push whose body is the body of the message, and whose headers contain the rest. Names of attributes lose
    /// their case.
    pub(super) fn unwrapped(headers: &HeaderMap, body: &Bytes) -> Result<Self, Rejection> {
        // A header that is not UTF-8 is no reason to reject a message: a proxy may have added it.
        let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut attributes = BTreeMap::new();
        for name in headers.keys().map(http::HeaderName::as_str) {
            if TRANSPORT_HEADERS.contains(&name) || name.starts_with("x-goog-") || name.starts_with("x-forwarded-") {
                continue;
            }
            attributes.extend(text(name).map(|value| (name.to_owned(), value)));
        }
        let id = text(MESSAGE_ID).filter(|id| !id.is_empty());
        let message = PubsubMessage {
            data: body.clone(),
            attributes,
            id: id.ok_or_else(|| Rejection::malformed(format!("the header `{MESSAGE_ID}` is empty")))?,
            published_at: text(PUBLISH_TIME).and_then(|text| clock::parse(&text)),
            ordering_key: text(ORDERING_KEY).or(text("x-goog-ordering-key")),
        };
        let attempt = text(DELIVERY_ATTEMPT).and_then(|count| count.parse().ok());
        Ok(Self { message, subscription: text(SUBSCRIPTION).map(|name| last(&name)), attempt })
    }
}

/// The last segment of `projects/P/subscriptions/S`.
fn last(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}
