//! The backlog of a trigger: its subscription, and the one of its dead letters.
//!
//! A message for one subscription is published to the topic with [`FOR`]: the filters of the other subscriptions leave it out.
//!
//! <https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions>

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::Request;
use isobar_abstraction::clock;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::pub_sub::{
    Backlog, BacklogCount, BacklogMessage, BacklogPart, LeasedMessage, PORTABLE_FORM, each_failed,
};
use isobar_abstraction::{Error, EventQueue, Result};
use isobar_rest::Safety;
use object_store::PutPayload;
use serde_json::{Value, json};

use super::CloudPubSub;
use super::dead_letters::details_of;
use super::outgoing::Entry;
use super::publisher::Publisher;
use super::wire::{ATTEMPTS, DUE, FOR, PubsubMessage, copy, timestamp};
use crate::State;
use crate::config::QueuePlacement;
use crate::service::GoogleService;

/// The most messages of one pull, and receipts of one request.
const BATCH: usize = 1_000;

/// The longest deadline of an acknowledgement, in seconds.
const LONGEST_LEASE: u64 = 600;

/// A pull that does not wait can return nothing although there are messages.
const PULLS: u32 = 3;

const PAUSE: Duration = Duration::from_millis(300);

/// Opens the backlog of a queue, without connecting. Errors: `Config`.
pub(crate) fn open(state: &Arc<State>, queue: &EventQueue) -> Result<Arc<dyn Backlog>> {
    let place = state.config.queue(queue)?;
    Ok(Arc::new(PubSubBacklog { state: Arc::clone(state), place, kind: queue.kind() }))
}

#[derive(Debug)]
struct PubSubBacklog {
    state: Arc<State>,
    place: QueuePlacement,
    kind: ResourceKind,
}

impl PubSubBacklog {
    fn subscription(&self, part: BacklogPart) -> String {
        match part {
            BacklogPart::Waiting => self.place.subscription.clone(),
            BacklogPart::Dead => self.place.dead_letters(),
        }
    }

    fn service(&self, subscription: &str) -> GoogleService {
        let resource = format!("the subscription `{subscription}` of Pub/Sub");
        GoogleService::new(Arc::clone(&self.state), self.place.endpoint.clone(), resource)
    }

    async fn path(&self, subscription: &str) -> Result<String> {
        let project: Arc<str> = match &self.place.project {
            Some(project) => project.as_str().into(),
            None => self.state.credentials.project().await?,
        };
        Ok(format!("/v1/projects/{project}/subscriptions/{}", super::publisher::escaped(subscription)))
    }

    /// Calls a method of a subscription.
    async fn call(&self, part: BacklogPart, method: &'static str, input: &Value) -> Result<Value> {
        let subscription = self.subscription(part);
        let path = format!("{}:{method}", self.path(&subscription).await?);
        match self.service(&subscription).json(method, Safety::Idempotent, &path, input).await? {
            Ok(answer) => Ok(serde_json::from_slice(&answer).unwrap_or_default()),
            Err(service_error) if method == "pull" && service_error.code == "FAILED_PRECONDITION" => {
                Err(Error::config(format!(
                    "Pub/Sub pushes the messages of the subscription `{subscription}`: pause the queue before you lease them"
                )))
            }
            Err(service_error) => Err(service_error.into()),
        }
    }

    /// Calls a method for all receipts.
    async fn end(
        &self,
        part: BacklogPart,
        receipts: &[String],
        method: &'static str,
        deadline: Option<u64>,
    ) -> Result<()> {
        for receipts in receipts.chunks(BATCH) {
            let mut input = json!({ "ackIds": receipts });
            if let Some(deadline) = deadline {
                input["ackDeadlineSeconds"] = deadline.into();
            }
            self.call(part, method, &input).await?;
        }
        Ok(())
    }

    async fn pull(&self, part: BacklogPart, limit: usize) -> Result<Vec<Value>> {
        let input = json!({ "maxMessages": limit.min(BATCH), "returnImmediately": true });
        for _ in 1..PULLS {
            let mut answer = self.call(part, "pull", &input).await?;
            match answer["receivedMessages"].take() {
                Value::Array(received) if !received.is_empty() => return Ok(received),
                _ => self.state.clock.pause(PAUSE).await,
            }
        }
        let mut answer = self.call(part, "pull", &input).await?;
        Ok(serde_json::from_value(answer["receivedMessages"].take()).unwrap_or_default())
    }

    /// A received message; `None` for one of another subscription.
    fn read(&self, part: BacklogPart, received: &Value, now: SystemTime) -> Result<Option<BacklogMessage>> {
        let message = PubsubMessage::read(&received["message"])?;
        let moved_at = message.published_at;
        let attempt = received["deliveryAttempt"].as_u64().and_then(|attempt| u32::try_from(attempt).ok());
        let mut opened = message.open(attempt.unwrap_or(1));
        opened.message.published_at = clock::sent_at(opened.message.published_at, now);
        if part == BacklogPart::Dead {
            let details = opened.details.unwrap_or_else(|| details_of(&opened.message, moved_at));
            opened.message.attempt = details.attempts;
            return Ok(Some(BacklogMessage::new(opened.message).with_dead(details)));
        }
        if opened.meant_for.is_some_and(|meant_for| meant_for != self.place.subscription) {
            return Ok(None);
        }
        if opened.due.is_some() {
            // Deliveries before the due time are not attempts.
            opened.message.attempt = opened.attempts.saturating_add(1);
        }
        Ok(Some(BacklogMessage::new(opened.message).with_due(opened.due.filter(|due| *due > now))))
    }
}

#[async_trait]
impl Backlog for PubSubBacklog {
    fn form(&self) -> &'static str {
        if self.kind == ResourceKind::Bucket { "gcs" } else { PORTABLE_FORM }
    }

    /// Only Cloud Monitoring states a number, minutes later.
    async fn count(&self) -> Result<BacklogCount> {
        Ok(BacklogCount::UNKNOWN)
    }

    async fn lease(&self, part: BacklogPart, limit: usize, lease: Duration) -> Result<Vec<LeasedMessage>> {
        let (mut leased, now) = (Vec::new(), self.state.clock.now());
        if limit == 0 {
            return Ok(leased);
        }
        // Where all messages of a pull are of other subscriptions, there can be more.
        while leased.is_empty() {
            let received = self.pull(part, limit).await?;
            if received.is_empty() {
                break;
            }
            let mut others = Vec::new();
            for received in received {
                let receipt = received["ackId"].as_str().unwrap_or_default().to_owned();
                match self.read(part, &received, now)? {
                    Some(message) => leased.push(LeasedMessage::new(message, receipt)),
                    None => others.push(receipt),
                }
            }
            self.end(part, &others, "acknowledge", None).await?;
        }
        let receipts: Vec<String> = leased.iter().map(|leased| leased.receipt.clone()).collect();
        let deadline = lease.as_secs().clamp(10, LONGEST_LEASE);
        self.end(part, &receipts, "modifyAckDeadline", Some(deadline)).await?;
        Ok(leased)
    }

    async fn acknowledge(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        each(receipts.len(), self.end(part, &receipts, "acknowledge", None).await)
    }

    async fn release(&self, part: BacklogPart, receipts: Vec<String>) -> Vec<Result<()>> {
        each(receipts.len(), self.end(part, &receipts, "modifyAckDeadline", Some(0)).await)
    }

    async fn send(&self, part: BacklogPart, messages: Vec<BacklogMessage>) -> Vec<Result<()>> {
        let mut entries = Vec::with_capacity(messages.len());
        for (index, sent) in messages.iter().enumerate() {
            let mut message = copy(&sent.message);
            message.set(FOR, &*self.place.subscription);
            match part {
                BacklogPart::Dead => {
                    sent.details().attributes().into_iter().for_each(|(name, value)| message.set(name, value));
                }
                BacklogPart::Waiting => {
                    message.set(ATTEMPTS, sent.attempts().to_string());
                    if let Some(due) = sent.due {
                        message.set(DUE, timestamp(due));
                    }
                }
            }
            entries.push(Entry::new(index, message));
        }
        let topic = if part == BacklogPart::Dead { self.place.dead_letters() } else { self.place.topic.clone() };
        let publisher = Publisher::near(&self.state, &self.place, topic);
        let topic = CloudPubSub { state: Arc::clone(&self.state), publisher };
        topic.publish_entries(entries).await.into_iter().map(|sent| sent.map(drop)).collect()
    }

    async fn pause(&self) -> Result<String> {
        let subscription = self.subscription(BacklogPart::Waiting);
        let service = self.service(&subscription);
        let path = self.path(&subscription).await?;
        let request = Request::get(service.url(&path)).body(PutPayload::new());
        let malformed = |error| Error::config("the endpoint of Pub/Sub is not a URL").with_source(error);
        let answer = service.call("GetSubscription", Safety::Read, request.map_err(malformed)?).await??;
        let answer: Value = serde_json::from_slice(answer.body())?;
        if answer["pushConfig"]["pushEndpoint"].as_str().is_none_or(str::is_empty) {
            return Ok(String::new());
        }
        self.call(BacklogPart::Waiting, "modifyPushConfig", &json!({ "pushConfig": {} })).await?;
        Ok(answer["pushConfig"].to_string())
    }

    async fn resume(&self, paused: &str) -> Result<()> {
        if paused.is_empty() {
            return Ok(());
        }
        let push: Value = serde_json::from_str(paused)
            .map_err(|_| Error::invalid_input("this is not what pausing a subscription of Pub/Sub returned"))?;
        self.call(BacklogPart::Waiting, "modifyPushConfig", &json!({ "pushConfig": push })).await.map(drop)
    }
}

/// The result of a request for each of its messages.
fn each(count: usize, result: Result<()>) -> Vec<Result<()>> {
    match result {
        Ok(()) => (0..count).map(|_| Ok(())).collect(),
        Err(error) => each_failed(&error, count),
    }
}
