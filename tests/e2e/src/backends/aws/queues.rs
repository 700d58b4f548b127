//! The queues of an account, as the platform and a person with the console use them.

use isobar::driver::{Derived, ResourceKind};
use isobar::manifest::Manifest;
use isobar::{EventQueue, Result};
use serde_json::{Value, json};

use super::REGION;
use super::account::Account;
use super::queue_proxy::LONGEST;
use crate::backends::provisioned::Deployment;

impl Account {
    fn queue_url(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.services.endpoint, self.services.account)
    }

    pub(super) fn queue_arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{}:{queue}", self.services.account)
    }

    /// The queues that an app's event source mappings poll.
    pub(super) fn queues(&self, manifest: &Manifest) -> Vec<String> {
        manifest.queues().flat_map(|(trigger, _)| self.queues_of(&trigger)).collect()
    }

    /// The queues of a trigger. One of a topic has a second queue, for messages with an ordering key.
    pub(super) fn queues_of(&self, trigger: &EventQueue) -> Vec<String> {
        let source = self.physical(trigger.source());
        let (default, ends): (_, &[&str]) = match trigger.kind() {
            ResourceKind::Table => (Derived::Writes.of(&source), &[""]),
            ResourceKind::Bucket => (Derived::Events.of(&source), &[""]),
            _ => (source, &["", ".fifo"]),
        };
        ends.iter().map(|end| trigger.physical(&default) + end).collect()
    }

    /// Receives messages, and hides them for as long as SQS can.
    pub(super) async fn receive(&self, queue: &str, most: u32) -> Result<Vec<Value>> {
        let input = json!({
            "QueueUrl": self.queue_url(queue), "MaxNumberOfMessages": most, "VisibilityTimeout": LONGEST,
            "AttributeNames": ["All"], "MessageAttributeNames": ["All"], "WaitTimeSeconds": 0,
        });
        let output = self.json("AmazonSQS.ReceiveMessage", &input).await?;
        Ok(output["Messages"].as_array().cloned().unwrap_or_default())
    }

    pub(super) async fn delete(&self, queue: &str, message: &Value) -> Result<()> {
        let input = json!({"QueueUrl": self.queue_url(queue), "ReceiptHandle": message["ReceiptHandle"]});
        self.json("AmazonSQS.DeleteMessage", &input).await.map(drop)
    }

    /// Ends the visibility timeout of a message.
    pub(super) async fn show(&self, queue: &str, receipt: &str) -> Result<()> {
        let input = json!({"QueueUrl": self.queue_url(queue), "ReceiptHandle": receipt, "VisibilityTimeout": 0});
        self.json("AmazonSQS.ChangeMessageVisibility", &input).await.map(drop)
    }

    /// Whether a queue has no messages, visible or not.
    pub(super) async fn is_empty(&self, queue: &str) -> Result<bool> {
        let input = json!({"QueueUrl": self.queue_url(queue), "AttributeNames": ["All"]});
        let output = self.json("AmazonSQS.GetQueueAttributes", &input).await?;
        let counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        Ok(counts.iter().all(|count| output["Attributes"][count] == "0"))
    }
}
