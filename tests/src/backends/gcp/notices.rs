//! **A double**, made by us, of the notifications of buckets: fake-gcs-server tells of all objects in one topic, and
//! each bucket's events are to be in a topic of its own.

use std::collections::BTreeMap;

use isobar::Result;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::project::PubSubApi;
use crate::emulators::{EVENTS_PROJECT, EVENTS_TOPIC};

/// What leads the events of some buckets to their topics.
#[derive(Debug)]
pub(super) struct Notices {
    all: PubSubApi,
    own: PubSubApi,
    /// This trial's subscription to all events.
    subscription: String,
    /// The topic of a bucket's events.
    topics: Mutex<BTreeMap<String, String>>,
}

impl Notices {
    /// Makes the topic of all events, which must be there before the first object.
    pub(super) async fn open(endpoint: &str, project: &str) -> Result<Self> {
        let of = |project: &str| PubSubApi { endpoint: endpoint.to_owned(), project: project.to_owned() };
        let subscription = format!("all-{project}");
        let all = of(EVENTS_PROJECT);
        all.make_bare_topic(EVENTS_TOPIC).await?;
        Ok(Self { all, own: of(project), subscription, topics: Mutex::default() })
    }

    /// Leads a bucket's events from now on.
    pub(super) async fn lead(&self, bucket: &str) -> Result<()> {
        if self.topics.lock().is_empty() {
            self.all.make_subscription(&self.subscription, EVENTS_TOPIC).await?;
        }
        self.topics.lock().insert(bucket.to_owned(), format!("{bucket}-events"));
        Ok(())
    }

    /// Leads what has happened since. Returns whether there was anything.
    pub(super) async fn carry(&self) -> Result<bool> {
        let topics = self.topics.lock().clone();
        if topics.is_empty() {
            return Ok(false);
        }
        let received = self.all.pull(&self.subscription).await?;
        let mut any = false;
        for event in &received {
            let message = &event["message"];
            let bucket = message["attributes"]["bucketId"].as_str().unwrap_or_default();
            if let Some(topic) = topics.get(bucket) {
                any = true;
                let kept = json!({"data": message["data"], "attributes": message["attributes"]});
                self.own.publish(topic, &[kept]).await?;
            }
        }
        let ids: Vec<&str> = received.iter().filter_map(|event| event["ackId"].as_str()).collect();
        self.all.acknowledge(&self.subscription, &ids).await?;
        Ok(any)
    }
}

/// A message as it may be published again.
pub(super) fn kept(message: &Value) -> Value {
    let mut kept = json!({"data": message["data"], "attributes": message["attributes"]});
    if let Some(key) = message["orderingKey"].as_str() {
        kept["orderingKey"] = key.into();
    }
    kept
}
