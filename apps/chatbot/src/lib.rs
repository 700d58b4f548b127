//! A chatbot behind the webhooks of Telegram and Slack. It responds immediately and works afterwards.
//!
//! | event | what it does |
//! |---|---|
//! | `POST /telegram`, `POST /slack` | verifies the sender, enqueues the message on topic `incoming`, responds 200 |
//! | topic `incoming` | remembers what was said, and replies through the service's Web API, once |
//!
//! | value | what it is; a webhook without its secrets answers 500 |
//! |---|---|
//! | secret `telegram-secret-token` | the `secret_token` that was given to `setWebhook` |
//! | secret `telegram-bot-token` | the token of the bot, from @BotFather |
//! | secret `slack-signing-secret` | the signing secret of the app |
//! | secret `slack-bot-token` | the OAuth token of the bot user, with the scope `chat:write` |
//! | configuration `apis` | other addresses of the Web APIs, such as `{"telegram": "http://127.0.0.1:8000"}` |

mod answer;
mod bot;
mod conversation;
mod incoming;
mod slack;
mod telegram;
mod web_api;
mod worker;

use isobar::axum::body::Bytes;
use isobar::axum::extract::{FromRequest, Request};
use isobar::prelude::*;

pub use incoming::{Incoming, Place};

use bot::Bot;

/// The app.
pub fn app(cloud: &Cloud) -> App {
    let bot = Bot::open(cloud);
    // A service that is busy for a minute or two is no reason to give a reply up.
    let incoming = bot.incoming.subscription("default").with_max_attempts(8);
    let routes = Router::new().route("/telegram", post(from_telegram)).route("/slack", post(from_slack));
    let app = App::new("chatbot").http(routes.with_state(bot.clone()));
    app.with_state(bot).on_message(incoming, Bot::reply).build()
}

async fn from_telegram(State(bot): State<Bot>, headers: HeaderMap, request: Request) -> Result<Response> {
    bot.telegram.verify(&headers).await?;
    let body = read(request, &bot).await?;
    bot.receive(telegram::read(&body)?).await
}

async fn from_slack(State(bot): State<Bot>, cx: Context, headers: HeaderMap, request: Request) -> Result<Response> {
    let secret = bot.slack.signing_secret.get().await?;
    let signature = slack::Signature::new(&headers, cx.now())?;
    // The signature is of the received bytes: no extractor may parse them first.
    let body = read(request, &bot).await?;
    signature.verify(&secret, &body)?;
    bot.receive(slack::read(&body)?).await
}

/// The body as received. isobar itself rejects one that is too large.
async fn read(request: Request, bot: &Bot) -> Result<Bytes> {
    let body = Bytes::from_request(request, bot).await;
    body.map_err(|error| Error::invalid_input("the body cannot be read").with_source(error))
}
