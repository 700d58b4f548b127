//! The part of an app's resources that a trial can reach without the app.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use isobar::clock::ManualClock;
use isobar::driver::blob::Blob;
use isobar::driver::key_value::KeyValue;
use isobar::driver::pub_sub::{PubSub, RawMessage};
use isobar::driver::{Clock, Hosted, Location, Profile, Provider};
use isobar::pub_sub::MessageId;
use isobar::{Error, ErrorKind, Result};
use serde_json::Value;

use super::Served;

/// The topics, by the inspector's `POST /topics/{topic}`.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) clock: ManualClock,
    pub(super) served: Served,
}

#[async_trait]
impl Provider for Endpoints {
    fn profile(&self) -> &'static Profile {
        &isobar::local::profile::PROFILE
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    fn key_value(&self, _: &Location) -> Result<Arc<dyn KeyValue>> {
        Err(Error::unsupported("key_value", "laptop", "the app has opened the folder"))
    }

    fn blob(&self, _: &Location) -> Result<Arc<dyn Blob>> {
        Err(Error::unsupported("blob", "laptop", "the app has opened the folder"))
    }

    fn pub_sub(&self, at: &Location) -> Result<Arc<dyn PubSub>> {
        Ok(Arc::new(PostedTopic { name: at.physical_name().to_owned(), served: Arc::clone(&self.served) }))
    }

    async fn host(&self, _: Hosted) -> Result<()> {
        Err(Error::unsupported("host", "laptop", "the binary is the host"))
    }
}

/// A topic of the app that runs. The endpoint accepts a body alone.
#[derive(Debug)]
struct PostedTopic {
    name: String,
    served: Served,
}

impl PostedTopic {
    async fn post(&self, message: RawMessage) -> Result<MessageId> {
        if !message.attributes.is_empty() || message.ordering_key.is_some() {
            return Err(Error::unsupported("publish", "laptop", "no trial sends attributes or an ordering key"));
        }
        let none = || Error::new(ErrorKind::Unavailable, "no app runs in this world");
        let served = self.served.get().ok_or_else(none)?;
        let response = served.inspect(Method::POST, &format!("topics/{}", self.name), message.body).await?;
        let response: Value = response.json()?;
        let id = response["id"].as_str().ok_or_else(|| Error::internal(format!("no `id` in {response}")))?;
        Ok(MessageId::new(id))
    }
}

#[async_trait]
impl PubSub for PostedTopic {
    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        let mut sent = Vec::with_capacity(messages.len());
        for message in messages {
            sent.push(self.post(message).await);
        }
        sent
    }
}
