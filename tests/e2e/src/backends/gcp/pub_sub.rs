//! The emulator of Pub/Sub as the trials use it, beside the provider.

use std::time::SystemTime;

use chrono::DateTime;
use http::{Method, Request};
use isobar::driver::Derived;
use isobar::{Body, Error, Result};
use serde_json::{Value, json};

use crate::backends::send;

/// The emulator of Pub/Sub, asked by its REST API.
#[derive(Debug, Clone)]
pub(super) struct PubSubApi {
    pub(super) endpoint: String,
    pub(super) project: String,
}

/// How long a received message is ours.
const ACK_DEADLINE: u32 = 600;

impl PubSubApi {
    fn url(&self, kind: &str, name: &str) -> String {
        format!("{}/v1/projects/{}/{kind}/{name}", self.endpoint, self.project)
    }

    /// A topic with its subscription, and the same for its dead letters.
    pub(super) async fn make_topic(&self, name: &str) -> Result<()> {
        for topic in [name.to_owned(), Derived::DeadLetters.of(name)] {
            ask(Method::PUT, &self.url("topics", &topic), &json!({})).await?;
            self.make_subscription(&topic, &topic).await?;
        }
        Ok(())
    }

    pub(super) async fn make_subscription(&self, name: &str, topic: &str) -> Result<()> {
        let topic = format!("projects/{}/topics/{topic}", self.project);
        let body = json!({"topic": topic, "ackDeadlineSeconds": ACK_DEADLINE, "enableMessageOrdering": true});
        ask(Method::PUT, &self.url("subscriptions", name), &body).await.map(drop)
    }

    /// What lies in a subscription now: `{"ackId", "message"}` each.
    pub(super) async fn pull(&self, subscription: &str) -> Result<Vec<Value>> {
        let url = format!("{}:pull", self.url("subscriptions", subscription));
        let mut all = Vec::new();
        loop {
            let answer = ask(Method::POST, &url, &json!({"maxMessages": 1000, "returnImmediately": true})).await?;
            match answer["receivedMessages"].as_array() {
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
        ask(Method::POST, &url, &json!({"ackIds": ids})).await.map(drop)
    }

    /// Publishes messages as they are.
    pub(super) async fn publish(&self, topic: &str, messages: &[Value]) -> Result<()> {
        let url = format!("{}:publish", self.url("topics", topic));
        for message in messages {
            ask(Method::POST, &url, &json!({"messages": [message]})).await?;
        }
        Ok(())
    }
}

/// Asks an emulator. What is there already is no error.
pub(super) async fn ask(method: Method, url: &str, body: &Value) -> Result<Value> {
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string()));
    let answer = send(request.map_err(|error| Error::internal("not a request").with_source(error))?).await?;
    match answer.status.as_u16() {
        200..=299 | 409 => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
        status => Err(Error::internal(format!("{url}: {status} {}", answer.text()))),
    }
}

/// A message that was received.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) ack: String,
    pub(super) message: Value,
    pub(super) attempt: u32,
    pub(super) not_before: SystemTime,
}

impl Waiting {
    pub(super) fn of(received: &Value) -> Self {
        let message = received["message"].clone();
        let due = message["attributes"]["isobar-due"].as_str().and_then(|due| DateTime::parse_from_rfc3339(due).ok());
        let not_before = due.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
        let ack = received["ackId"].as_str().unwrap_or_default().to_owned();
        Self { ack, message, attempt: 1, not_before }
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.message["orderingKey"].as_str().filter(|key| !key.is_empty())
    }
}
