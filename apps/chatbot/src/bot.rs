//! What the webhooks and the worker share.

use std::time::Duration;

use isobar::prelude::*;
use serde_json::json;

use crate::Incoming;
use crate::conversation::Conversations;
use crate::incoming::Received;
use crate::slack::Slack;
use crate::telegram::Telegram;
use crate::web_api::{self, WebApi};

/// A conversation waits at most this long, and half a minute, for a worker that died.
const LONGEST_REPLY: Duration = Duration::from_secs(30);
const _: () = assert!(LONGEST_REPLY.as_secs() > 2 * web_api::TIMEOUT.as_secs());

#[derive(Clone)]
pub(crate) struct Bot {
    pub(crate) telegram: Telegram,
    pub(crate) slack: Slack,
    pub(crate) incoming: Topic<Incoming>,
    /// The events that were replied to.
    pub(crate) inbox: Once,
    pub(crate) conversations: Conversations,
}

impl Bot {
    pub(crate) fn open(cloud: &Cloud) -> Self {
        let web = WebApi::open(cloud);
        Self {
            telegram: Telegram::open(cloud, web.clone()),
            slack: Slack::open(cloud, web),
            incoming: cloud.topic("incoming"),
            inbox: cloud.once("inbox").with_timeout(LONGEST_REPLY),
            conversations: Conversations::open(cloud),
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

    /// A service that sends an event again queues it again, and the worker replies to it once.
    async fn enqueue(&self, incoming: Incoming) -> Result<()> {
        let conversation = incoming.place.conversation();
        self.incoming.publish(Outgoing::new(incoming).with_ordering_key(conversation)).await.map(drop)
    }
}
