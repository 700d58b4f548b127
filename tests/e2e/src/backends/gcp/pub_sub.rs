//! The REST API of Pub/Sub's emulator, as the trials use it next to the provider.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use http::{Method, Request};
use isobar::driver::Derived;
use isobar::{Body, Error, Result};
use serde_json::{Value, json};

use crate::backends::send;
use crate::server::not_a_request;

/// The emulator of Pub/Sub, in one project.
#[derive(Debug, Clone)]
pub(super) struct PubSubApi {
    pub(super) endpoint: String,
    pub(super) project: String,
}

/// Time until a received message is delivered again, in seconds.
const ACK_DEADLINE: u32 = 600;

impl PubSubApi {
    fn url(&self, kind: &str, name: &str) -> String {
        format!("{}/v1/projects/{}/{kind}/{name}", self.endpoint, self.project)
    }

    /// A topic, a subscription of it, and the same for the dead letters of the subscription.
    pub(super) async fn create_queue(&self, topic: &str, subscription: &str) -> Result<()> {
        let dead = Derived::DeadLetters.of(subscription);
        for (topic, subscription) in [(topic, subscription), (&*dead, &*dead)] {
            call(Method::PUT, &self.url("topics", topic), &json!({})).await?;
            self.create_subscription(subscription, topic).await?;
        }
        Ok(())
    }

    async fn create_subscription(&self, name: &str, topic: &str) -> Result<()> {
        let topic = format!("projects/{}/topics/{topic}", self.project);
        let body = json!({"topic": topic, "ackDeadlineSeconds": ACK_DEADLINE, "enableMessageOrdering": true});
        call(Method::PUT, &self.url("subscriptions", name), &body).await.map(drop)
    }

    /// The messages of a subscription, each as `{"ackId", "message"}`.
    pub(super) async fn pull(&self, subscription: &str) -> Result<Vec<Value>> {
        let url = format!("{}:pull", self.url("subscriptions", subscription));
        let mut all = Vec::new();
        loop {
            let output = call(Method::POST, &url, &json!({"maxMessages": 1000, "returnImmediately": true})).await?;
            match output["receivedMessages"].as_array() {
                Some(received) if !received.is_empty() => all.extend(received.iter().cloned()),
                _ => return Ok(all),
            }
        }
    }

    pub(super) async fn acknowledge(&self, subscription: &str, ids: &[&str]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let url = format!("{}:acknowledge", self.url("subscriptions", subscription));
        call(Method::POST, &url, &json!({"ackIds": ids})).await.map(drop)
    }

    /// Pulls the messages of a subscription, and acknowledges them.
    pub(super) async fn take(&self, subscription: &str) -> Result<Vec<Value>> {
        let received = self.pull(subscription).await?;
        let ids: Vec<&str> = received.iter().filter_map(|received| received["ackId"].as_str()).collect();
        self.acknowledge(subscription, &ids).await?;
        Ok(received)
    }
}

/// Calls an emulator. A resource that exists already is not an error.
pub(super) async fn call(method: Method, url: &str, body: &Value) -> Result<Value> {
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let response = send(request.body(Body::from(body.to_string())).map_err(not_a_request)?).await?;
    match response.status.as_u16() {
        200..=299 | 409 => Ok(serde_json::from_slice(&response.body).unwrap_or_default()),
        status => Err(Error::internal(format!("{url} answers {status}: {}", response.text()))),
    }
}

/// A message that was received, and is not acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) ack: String,
    pub(super) message: Value,
    pub(super) attempt: u32,
    /// The due time that isobar wrote, which Pub/Sub does not know.
    pub(super) due: SystemTime,
    pub(super) not_before: SystemTime,
}

/// The time for which the service holds a push until its message is due. A trial's clock does not pass meanwhile.
const HOLD: Duration = Duration::from_secs(20);

impl Waiting {
    /// A received message. Pub/Sub pushes it immediately, and again after its backoff; here it is pushed again when it is due.
    pub(super) fn of(received: &Value, now: SystemTime) -> Self {
        let message = received["message"].clone();
        let due = message["attributes"]["isobar-due"].as_str().and_then(|due| DateTime::parse_from_rfc3339(due).ok());
        let due = due.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
        let not_before = if due > now + HOLD { now } else { due };
        let ack = received["ackId"].as_str().unwrap_or_default().to_owned();
        Self { ack, message, attempt: 1, due, not_before }
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.message["orderingKey"].as_str().filter(|key| !key.is_empty())
    }
}
