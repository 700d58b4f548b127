//! What comes from a service, in the bot's own terms.

use isobar::Error;
use serde::{Deserialize, Serialize};

/// A message from a person, as it travels on the topic `incoming`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The service's id of the event: the same when the service delivers it again.
    pub event: String,
    /// Where it was said, and where the reply goes.
    pub place: Place,
    /// Its place in the conversation: later ones are greater, in byte order.
    pub order: String,
    /// The sender.
    pub from: String,
    /// What was said.
    pub text: String,
}

/// A chat of one of the services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "service", rename_all = "lowercase")]
pub enum Place {
    /// A chat of Telegram, private or of a group.
    Telegram {
        /// The chat's id; a group's is negative.
        chat_id: i64,
    },
    /// A channel of Slack, or a direct message.
    Slack {
        /// The workspace.
        team: String,
        /// The channel.
        channel: String,
        /// The thread in it, if it was said in one.
        thread: Option<String>,
    },
}

impl Place {
    /// The conversation's key, which also keeps its messages in order.
    pub fn conversation(&self) -> String {
        match self {
            Self::Telegram { chat_id } => format!("telegram/{chat_id}"),
            Self::Slack { team, channel, .. } => format!("slack/{team}/{channel}"),
        }
    }
}

/// What a verified webhook holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Message(Incoming),
    /// Slack asks whether this URL is ours.
    Challenge(String),
    /// Nothing to reply to, and why.
    Nothing(&'static str),
}

/// The sender of a webhook is not known.
pub(crate) fn unverified(reason: &'static str) -> Error {
    tracing::warn!(reason, "a webhook was refused");
    Error::unauthenticated(reason)
}
