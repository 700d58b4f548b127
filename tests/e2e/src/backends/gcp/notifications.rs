//! The notifications of buckets. fake-gcs-server sends them as Cloud Storage does: some time after the response to a
//! write. A mark shows which have been sent: an object of another bucket, whose notification goes to the same topic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use isobar::Result;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::pub_sub::{PubSubApi, call};
use crate::backends::wait;

/// Longest wait for a mark.
const MARK_LIMIT: Duration = Duration::from_secs(20);

/// The topics to which buckets' notifications go.
#[derive(Debug)]
pub(super) struct Notifications {
    storage: String,
    pub_sub: PubSubApi,
    topics: Mutex<Vec<String>>,
    marks: AtomicU64,
}

impl Notifications {
    pub(super) fn new(storage: &str, pub_sub: &PubSubApi) -> Self {
        let (topics, marks) = Default::default();
        Self { storage: storage.to_owned(), pub_sub: pub_sub.clone(), topics, marks }
    }

    /// Routes the notifications of a bucket to a topic, from now on. A second call changes nothing.
    pub(super) async fn route(&self, bucket: &str, topic: &str) -> Result<()> {
        if self.topics.lock().iter().any(|it| it == topic) {
            return Ok(());
        }
        let marks = bucket_of_marks(topic);
        let url = format!("{}/storage/v1/b?project={}", self.storage, self.pub_sub.project);
        call(Method::POST, &url, &json!({"name": marks})).await?;
        let name = format!("//pubsub.googleapis.com/projects/{}/topics/{topic}", self.pub_sub.project);
        let events = ["OBJECT_FINALIZE", "OBJECT_DELETE"];
        let configuration = json!({"topic": name, "payload_format": "JSON_API_V1", "event_types": events});
        for bucket in [bucket, &marks] {
            let url = format!("{}/storage/v1/b/{bucket}/notificationConfigs", self.storage);
            call(Method::POST, &url, &configuration).await?;
        }
        self.topics.lock().push(topic.to_owned());
        Ok(())
    }

    /// The notifications that a subscription has received of all earlier writes, without marks, which each subscription of
    /// the topic receives. Empty, if none go to the topic.
    pub(super) async fn received(&self, topic: &str, subscription: &str) -> Result<Vec<Value>> {
        let all = Mutex::default();
        if self.topics.lock().iter().any(|it| it == topic) {
            // Notifications may overtake each other: those of earlier writes have arrived when the second mark has.
            for _ in 0..2 {
                let mark = self.write_mark(topic).await?;
                let what = "fake-gcs-server notifies the topic of a mark";
                wait::until(what, MARK_LIMIT, || self.pull_mark(topic, subscription, &mark, &all)).await?;
            }
        }
        Ok(all.into_inner())
    }

    async fn write_mark(&self, topic: &str) -> Result<String> {
        let mark = format!("m{}", self.marks.fetch_add(1, Ordering::Relaxed));
        let bucket = bucket_of_marks(topic);
        let url = format!("{}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={mark}", self.storage);
        call(Method::POST, &url, &json!({})).await?;
        Ok(mark)
    }

    /// Pulls once: adds the notifications to `all`, and acknowledges the marks. Returns whether `mark` is one of them.
    async fn pull_mark(&self, topic: &str, subscription: &str, mark: &str, all: &Mutex<Vec<Value>>) -> Result<bool> {
        let bucket = bucket_of_marks(topic);
        let received = self.pub_sub.pull(subscription).await?.into_iter();
        let (marks, notifications): (Vec<_>, Vec<_>) =
            received.partition(|received| received["message"]["attributes"]["bucketId"] == *bucket);
        all.lock().extend(notifications);
        let ids: Vec<&str> = marks.iter().filter_map(|received| received["ackId"].as_str()).collect();
        self.pub_sub.acknowledge(subscription, &ids).await?;
        Ok(marks.iter().any(|received| received["message"]["attributes"]["objectId"] == *mark))
    }
}

fn bucket_of_marks(topic: &str) -> String {
    format!("{topic}-marks")
}
