//! Telegram: its webhook, and `sendMessage`. See <https://core.telegram.org/bots/api>.

use isobar::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::incoming::{Received, unverified};
use crate::web_api::{Answer, WebApi};
use crate::{Incoming, Place};

#[derive(Clone)]
pub(crate) struct Telegram {
    secret_token: Secret,
    bot_token: Secret,
    web: WebApi,
}

impl Telegram {
    pub(crate) fn open(cloud: &Cloud, web: WebApi) -> Self {
        let secret = |name| cloud.secret(name).optional();
        Self { secret_token: secret("telegram-secret-token"), bot_token: secret("telegram-bot-token"), web }
    }

    /// Refuses a request without the secret that `setWebhook` was given.
    pub(crate) async fn verify(&self, headers: &HeaderMap) -> Result<()> {
        let expected = self.secret_token.get().await?;
        let Some(sent) = headers.get("x-telegram-bot-api-secret-token") else {
            return Err(unverified("the header X-Telegram-Bot-Api-Secret-Token is missing"));
        };
        match expected.matches(sent) {
            true => Ok(()),
            false => Err(unverified("the header X-Telegram-Bot-Api-Secret-Token is wrong")),
        }
    }

    /// Sends a message to a chat.
    pub(crate) async fn send(&self, chat_id: i64, text: &str) -> Result<()> {
        let (apis, token) = (self.web.apis().await?, self.bot_token.get().await?);
        // The token is a part of the URL, which therefore must not be in any log or error.
        let url = format!("{}/bot{}/sendMessage", apis.telegram.trim_end_matches('/'), token.reveal());
        let answer = self.web.post(&url, None, &json!({ "chat_id": chat_id, "text": text })).await?;
        match answer.body["ok"] == Value::Bool(true) {
            true => Ok(()),
            false => Err(answer.failure("Telegram", &token.hide_in(description(&answer)))),
        }
    }
}

#[derive(Deserialize)]
struct Update {
    update_id: i64,
    message: Option<TextMessage>,
}

#[derive(Deserialize)]
struct TextMessage {
    message_id: u64,
    date: u64,
    chat: Chat,
    from: Option<User>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    is_bot: bool,
    first_name: String,
}

/// Reads an update. Errors: only where it is no JSON; what is not understood is ignored, because
/// Telegram would send it again and again.
pub(crate) fn read(body: &[u8]) -> Result<Received> {
    let update: Update = match serde_json::from_slice(body) {
        Err(error) if error.is_data() => return Ok(Received::Nothing("an update of an unknown form")),
        update => update.map_err(|error| Error::invalid_input(format!("not JSON: {error}")))?,
    };
    let Some(message) = update.message else { return Ok(Received::Nothing("no new message")) };
    let (Some(text), Some(from)) = (message.text, message.from) else {
        return Ok(Received::Nothing("a message without text or sender"));
    };
    if from.is_bot {
        return Ok(Received::Nothing("a bot's message"));
    }
    Ok(Received::Message(Incoming {
        event: format!("telegram/{}", update.update_id),
        place: Place::Telegram { chat_id: message.chat.id },
        // Dates count whole seconds; ids grow within a chat.
        order: format!("{:010}.{:012}", message.date, message.message_id),
        from: from.first_name,
        text,
    }))
}

fn description(answer: &Answer) -> &str {
    answer.body["description"].as_str().unwrap_or("no description")
}
