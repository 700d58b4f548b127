//! Dead letters, in the subscriptions of their topics.

use async_trait::async_trait;
use isobar::driver::Derived;
use isobar::pub_sub::DeadLetter;
use isobar::{EventQueue, Result};
use serde_json::{Value, json};

use super::project::{Project, QueueNames};
use crate::backends::dead_letters::{DeadLetterQueues, Stored};

#[async_trait]
impl DeadLetterQueues for Project {
    type Message = Value;

    fn stored(&self) -> &Stored<Value> {
        &self.dead_letters
    }

    fn dead_letter_queues(&self, queue: &EventQueue) -> Vec<(String, String)> {
        let QueueNames { topic, subscription } = self.names(queue);
        vec![(Derived::DeadLetters.of(&subscription), topic)]
    }

    async fn drain(&self, subscription: &str) -> Result<Vec<Value>> {
        let received = self.pub_sub.take(subscription).await?;
        Ok(received.into_iter().map(|mut received| received["message"].take()).collect())
    }

    fn dead_letter(message: &Value) -> Result<DeadLetter> {
        isobar_gcp::dead_letter(message)
    }

    async fn send_again(&self, topic: &str, message: &Value) -> Result<()> {
        let mut again = json!({"data": message["data"], "attributes": message["attributes"]});
        if let Some(key) = message["orderingKey"].as_str() {
            again["orderingKey"] = key.into();
        }
        self.pub_sub.publish(topic, &again).await
    }
}
