//! Pushes of Pub/Sub, wrapped and unwrapped.
//!
//! Source: <https://docs.cloud.google.com/pubsub/docs/payload-unwrapping>.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use isobar_abstraction::clock;
use serde_json::Value;

use super::Refused;
use crate::pub_sub::wire::PubsubMessage;

const MESSAGE_ID: &str = "x-goog-pubsub-message-id";
const PUBLISH_TIME: &str = "x-goog-pubsub-publish-time";
const ORDERING_KEY: &str = "x-goog-pubsub-ordering-key";
const SUBSCRIPTION: &str = "x-goog-pubsub-subscription-name";
const DELIVERY_ATTEMPT: &str = "x-goog-pubsub-delivery-attempt";

/// What the client that pushes, and the front end before us, write themselves: no attribute of a message.
const OF_HTTP: [&str; 15] = [
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

/// Is it a push without its wrapper? Eventarc's own events come by such pushes as well: they are CloudEvents, of
/// types of Google's.
pub(super) fn is_unwrapped(headers: &HeaderMap) -> bool {
    headers.contains_key(MESSAGE_ID)
        && !headers.get("ce-type").is_some_and(|kind| kind.as_bytes().starts_with(b"google."))
}

/// A message and how it was delivered.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) message: PubsubMessage,
    /// The subscription's name without its project.
    pub(crate) subscription: Option<String>,
    /// Deliveries as Pub/Sub counts them, which it does for subscriptions with a dead-letter policy only.
    pub(crate) attempt: Option<u32>,
}

impl Push {
    /// `{"message": {…}, "subscription": "projects/P/subscriptions/S", "deliveryAttempt": 5}`.
    pub(super) fn wrapped(value: &Value) -> Result<Self, Refused> {
        let message = PubsubMessage::read(&value["message"])?;
        let subscription = value["subscription"].as_str().map(last);
        let attempt = value["deliveryAttempt"].as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Self { message, subscription, attempt })
    }

    /// The body alone, all else in headers. A name loses its case on the way.
    pub(super) fn unwrapped(headers: &HeaderMap, body: &Bytes) -> Result<Self, Refused> {
        // A message is not lost for a header that is no UTF-8: whatever stands between may have added it.
        let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut attributes = BTreeMap::new();
        for name in headers.keys().map(http::HeaderName::as_str) {
            if OF_HTTP.contains(&name) || name.starts_with("x-goog-") || name.starts_with("x-forwarded-") {
                continue;
            }
            attributes.extend(text(name).map(|value| (name.to_owned(), value)));
        }
        let id = text(MESSAGE_ID).filter(|id| !id.is_empty());
        let message = PubsubMessage {
            data: body.clone(),
            attributes,
            id: id.ok_or_else(|| Refused::malformed(format!("the header `{MESSAGE_ID}` is empty")))?,
            published_at: text(PUBLISH_TIME).and_then(|text| clock::parse(&text)),
            ordering_key: text(ORDERING_KEY).or(text("x-goog-ordering-key")),
        };
        let attempt = text(DELIVERY_ATTEMPT).and_then(|count| count.parse().ok());
        Ok(Self { message, subscription: text(SUBSCRIPTION).map(|name| last(&name)), attempt })
    }
}

/// Of `projects/P/subscriptions/S` the end.
fn last(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}
