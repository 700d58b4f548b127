//! Notifications of buckets, which fake-gcs-server sends as Cloud Storage does: some time after a write was answered.
//! What has been sent is known by a mark: an object of another bucket, of which it tells the same topic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::pub_sub::{PubSubApi, ask};

/// Longest wait for a mark.
const PATIENCE: Duration = Duration::from_secs(20);

/// The topics that are told of some buckets.
#[derive(Debug)]
pub(super) struct Notices {
    storage: String,
    pub_sub: PubSubApi,
    topics: Mutex<Vec<String>>,
    marks: AtomicU64,
}

impl Notices {
    pub(super) fn new(storage: &str, pub_sub: &PubSubApi) -> Self {
        let (topics, marks) = Default::default();
        Self { storage: storage.to_owned(), pub_sub: pub_sub.clone(), topics, marks }
    }

    /// Has a topic told of a bucket, from now on.
    pub(super) async fn lead(&self, bucket: &str, topic: &str) -> Result<()> {
        if self.topics.lock().iter().any(|known| known == topic) {
            return Ok(());
        }
        let marks = marks_of(topic);
        let url = format!("{}/storage/v1/b?project={}", self.storage, self.pub_sub.project);
        ask(Method::POST, &url, &json!({"name": marks})).await?;
        for told in [bucket, &marks] {
            let url = format!("{}/storage/v1/b/{told}/notificationConfigs", self.storage);
            let topic = format!("//pubsub.googleapis.com/projects/{}/topics/{topic}", self.pub_sub.project);
            let events = ["OBJECT_FINALIZE", "OBJECT_DELETE"];
            ask(Method::POST, &url, &json!({"topic": topic, "payload_format": "JSON_API_V1", "event_types": events}))
                .await?;
        }
        self.topics.lock().push(topic.to_owned());
        Ok(())
    }

    /// What has been told a topic of all that was written before, without marks. Nothing, if it is told of no
    /// bucket.
    pub(super) async fn received(&self, topic: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        if self.topics.lock().iter().any(|known| known == topic) {
            // Each is sent by itself: what was written before the first mark is there when the second is.
            for _ in 0..2 {
                self.wait_for_mark(topic, &mut all).await?;
            }
        }
        Ok(all)
    }

    async fn wait_for_mark(&self, topic: &str, all: &mut Vec<Value>) -> Result<()> {
        let (marks, begun) = (marks_of(topic), Instant::now());
        let mark = format!("m{}", self.marks.fetch_add(1, Ordering::Relaxed));
        let url = format!("{}/upload/storage/v1/b/{marks}/o?uploadType=media&name={mark}", self.storage);
        ask(Method::POST, &url, &json!({})).await?;
        while begun.elapsed() < PATIENCE {
            let (marked, told): (Vec<_>, Vec<_>) = self
                .pub_sub
                .pull(topic)
                .await?
                .into_iter()
                .partition(|received| received["message"]["attributes"]["bucketId"] == *marks);
            all.extend(told);
            let ids: Vec<&str> = marked.iter().filter_map(|received| received["ackId"].as_str()).collect();
            self.pub_sub.acknowledge(topic, &ids).await?;
            if marked.iter().any(|received| received["message"]["attributes"]["objectId"] == *mark) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(Error::internal("fake-gcs-server tells nothing of a bucket"))
    }
}

fn marks_of(topic: &str) -> String {
    format!("{topic}-marks")
}

/// A message as it may be published again.
pub(super) fn kept(message: &Value) -> Value {
    let mut kept = json!({"data": message["data"], "attributes": message["attributes"]});
    if let Some(key) = message["orderingKey"].as_str() {
        kept["orderingKey"] = key.into();
    }
    kept
}
