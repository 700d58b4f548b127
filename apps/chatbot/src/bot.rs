//! What the webhooks and the worker share.

use std::sync::Arc;

use isobar::prelude::*;
use serde_json::json;

use crate::conversation::Conversations;
use crate::inbox::Inbox;
use crate::incoming::Received;
use crate::web_api::WebApi;
use crate::{Config, Incoming};

#[derive(Clone)]
pub(crate) struct Bot {
    pub(crate) config: Arc<Config>,
    pub(crate) incoming: Topic<Incoming>,
    pub(crate) inbox: Inbox,
    pub(crate) conversations: Conversations,
    pub(crate) web: WebApi,
}

impl Bot {
    pub(crate) fn open(cloud: &Cloud, config: Config) -> Self {
        Self {
            config: Arc::new(config),
            incoming: cloud.topic("incoming"),
            inbox: Inbox::open(cloud),
            conversations: Conversations::open(cloud),
            web: WebApi::default(),
        }
    }

    /// Answers a webhook that is verified.
    pub(crate) async fn receive(&self, received: Received) -> Result<Response> {
        match received {
            Received::Challenge(challenge) => return Ok(Json(json!({ "challenge": challenge })).into_response()),
            Received::Message(incoming) => self.enqueue(incoming).await?,
            Received::Nothing(why) => tracing::debug!(why, "an update is ignored"),
        }
        Ok(StatusCode::OK.into_response())
    }

    async fn enqueue(&self, incoming: Incoming) -> Result<()> {
        if self.inbox.is_queued(&incoming.event).await? {
            return Ok(());
        }
        let (event, conversation) = (incoming.event.clone(), incoming.place.conversation());
        self.incoming.publish(Outgoing::new(incoming).with_ordering_key(conversation)).await?;
        // Marked after it is queued: a crash between the two queues it twice, and the worker sees
        // that; the other order would lose it, because the service's next try looks like a duplicate.
        self.inbox.set_queued(&event).await
    }
}
