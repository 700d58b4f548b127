//! A bot behind the webhook of Telegram. It responds immediately, and replies afterwards.
//!
//! | event | what it does |
//! |---|---|
//! | `POST /telegram` | verifies the sender, publishes the message, responds 200 |
//! | topic `incoming` | replies, once for each message |
//!
//! | value | what it is |
//! |---|---|
//! | secret `webhook-secret` | the `secret_token` of `setWebhook`, which Telegram sends with each request |
//! | secret `bot-token` | the token of the bot, from @BotFather |
//! | configuration `telegram` | where replies go: see [`telegram`] |

mod telegram;

use std::time::Duration;

use isobar::axum::body::Bytes;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};

use telegram::{Telegram, Update};

#[derive(Clone)]
struct Bot {
    webhook_secret: Secret,
    incoming: Topic<Incoming>,
    /// The messages that have a reply: Telegram and the topic may deliver one again.
    replied: Once,
    telegram: Telegram,
}

/// A message to the bot.
#[derive(Serialize, Deserialize)]
struct Incoming {
    update: i64,
    chat: i64,
    text: String,
}

/// The app.
pub fn app(cloud: &Cloud) -> Result<App> {
    let bot = Bot {
        webhook_secret: cloud.secret("webhook-secret"),
        incoming: cloud.topic("incoming"),
        replied: cloud.once("replied").with_timeout(Duration::from_secs(30)),
        telegram: Telegram::open(cloud)?,
    };
    let routes = Router::new()
        .route("/telegram", post(receive))
        .with_state(bot.clone());
    let app = App::new(env!("CARGO_PKG_NAME")).http(routes);
    Ok(app
        .with_state(bot.clone())
        .on_message(&bot.incoming, Bot::reply)
        .build())
}

/// What the bot says. This is the function to change.
fn answer(text: &str) -> String {
    match text {
        "/start" => "Hello! I repeat what you write.".to_owned(),
        text => format!("You wrote: {text}"),
    }
}

async fn receive(
    State(bot): State<Bot>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let secret = bot.webhook_secret.get().await?;
    let sent = headers.get("x-telegram-bot-api-secret-token");
    if !sent.is_some_and(|sent| secret.matches(sent)) {
        return Err(Problem::unauthorized("the secret token is wrong"));
    }
    let update: Update =
        serde_json::from_slice(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    // Telegram sends an update again until the response is 200, also one that the bot ignores.
    if let Some(incoming) = update.into_incoming() {
        let chat = incoming.chat.to_string();
        let message = Outgoing::new(incoming).with_ordering_key(chat);
        bot.incoming.publish(message).await?;
    }
    Ok(StatusCode::OK)
}

impl Bot {
    /// A reply that fails is tried again later; one that Telegram rejects becomes a dead letter.
    async fn reply(self, message: Message<Incoming>, cx: Context) -> Result<OnceResult<()>> {
        let Incoming { update, chat, text } = message.body;
        let send = async |_| self.telegram.send(chat, &answer(&text)).await;
        self.replied.run(&cx, update.to_string(), send).await
    }
}
