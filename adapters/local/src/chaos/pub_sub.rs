//! A topic whose calls fail.

use async_trait::async_trait;
use isobar_abstraction::Result;
use isobar_abstraction::driver::pub_sub::{MessageId, PubSub, RawMessage};

use super::Calls;

#[derive(Debug)]
pub(crate) struct FaultyPubSub<T> {
    topic: T,
    calls: Calls,
}

impl<T> FaultyPubSub<T> {
    pub(crate) fn new(topic: T, calls: Calls) -> Self {
        Self { topic, calls }
    }
}

#[async_trait]
impl<T: PubSub> PubSub for FaultyPubSub<T> {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let count = messages.len();
        let published = self.calls.write("publish", async { Ok(self.topic.publish(messages).await) });
        published.await.unwrap_or_else(|error| vec![Err(error); count])
    }
}
