//! The work that the webhooks left for later.

use isobar::prelude::*;

use crate::answer::{self, Request};
use crate::bot::Bot;
use crate::inbox::{Claim, LEASE};
use crate::{Incoming, Missing, Place, slack, telegram};

impl Bot {
    /// Replies to a message, once, however often it is delivered.
    ///
    /// But for one case: a service that took the reply and whose answer was lost. No Web API here takes
    /// an idempotency key, so the reply is sent again: rather twice than never.
    pub(crate) async fn reply(self, message: Message<Incoming>, _cx: Context) -> Result<Outcome> {
        let incoming = message.body;
        let lease = match self.inbox.claim(&incoming.event).await? {
            Claim::Granted(lease) => lease,
            Claim::Done => return Ok(Outcome::Ack),
            Claim::Taken => {
                return Ok(Outcome::retry_after(LEASE, "another delivery of this event is being worked on"));
            }
        };
        let outcome = self.say(&incoming).await.into_outcome();
        let settled = match outcome {
            Outcome::Ack => self.inbox.finish(&incoming.event).await,
            _ => self.inbox.release(&incoming.event, &lease).await,
        };
        // It is no reason to reply again: the lease ends by itself.
        if let Err(error) = settled {
            tracing::warn!(%error, "the inbox does not know what became of an event");
        }
        Ok(outcome)
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
        // No later try finds secrets in the same environment.
        let lost = |missing: Missing| Error::invalid_input(missing.to_string());
        match place {
            Place::Telegram { chat_id } => {
                telegram::send(self.config.telegram().map_err(lost)?, &self.web, *chat_id, text).await
            }
            Place::Slack { channel, thread, .. } => {
                slack::send(self.config.slack().map_err(lost)?, &self.web, channel, thread.as_deref(), text).await
            }
        }
    }
}
