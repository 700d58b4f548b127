//! The work that the webhooks left for later.

use isobar::prelude::*;

use crate::answer::{self, Request};
use crate::bot::Bot;
use crate::{Incoming, Place};

impl Bot {
    /// Replies to a message, once, however often it is delivered.
    ///
    /// But for two cases: a service that took the reply and whose answer was lost, and a worker that died after it was
    /// sent. No Web API here takes an idempotency key, so the reply is sent again: rather twice than never.
    pub(crate) async fn reply(self, message: Message<Incoming>, cx: Context) -> Result<OnceResult<()>> {
        let incoming = message.body;
        self.inbox.run(&cx, &incoming.event, async |_| self.say(&incoming).await).await
    }

    async fn say(&self, incoming: &Incoming) -> Result<()> {
        let number = self.conversations.add(incoming).await?;
        let text = match answer::understand(&incoming.text) {
            Request::Help => answer::help(),
            Request::History => answer::history(&self.conversations.before(incoming, answer::SHOWN).await?),
            Request::Echo(text) => answer::echo(text, number),
        };
        self.send(&incoming.place, &text).await
    }

    async fn send(&self, place: &Place, text: &str) -> Result<()> {
        match place {
            Place::Telegram { chat_id } => self.telegram.send(*chat_id, text).await,
            Place::Slack { channel, thread, .. } => self.slack.send(channel, thread.as_deref(), text).await,
        }
    }
}
