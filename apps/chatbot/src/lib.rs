//! A chatbot behind the webhooks of Telegram and Slack. It responds immediately and works afterwards.
//!
//! | event | what it does |
//! |---|---|
//! | `POST /telegram`, `POST /slack` | verifies the sender, enqueues the message on topic `incoming`, responds 200 |
//! | topic `incoming` | remembers what was said, and replies through the service's Web API, once |
//!
//! The configuration comes from the environment: see [`Config`].

mod answer;
mod bot;
mod config;
mod conversation;
mod inbox;
mod incoming;
mod slack;
mod telegram;
mod web_api;
mod worker;

use isobar::axum::body::Bytes;
use isobar::axum::extract::{FromRequest, Request};
use isobar::prelude::*;

pub use config::{Config, Missing, Secret};
pub use incoming::{Incoming, Place};

use bot::Bot;

/// The app, configured by the environment.
pub fn app(cloud: &Cloud) -> App {
    app_with(cloud, Config::from_env())
}

/// The app with this configuration.
pub fn app_with(cloud: &Cloud, config: Config) -> App {
    let bot = Bot::open(cloud, config);
    // A service that is busy for a minute or two is no reason to give a reply up.
    let incoming = bot.incoming.subscription("default").with_max_attempts(8);
    let routes = Router::new().route("/telegram", post(from_telegram)).route("/slack", post(from_slack));
    let app = App::new("chatbot").http(routes.with_state(bot.clone()));
    app.with_state(bot).on_message(incoming, Bot::reply).build()
}

async fn from_telegram(State(bot): State<Bot>, headers: HeaderMap, request: Request) -> Result<Response> {
    telegram::verify(bot.config.telegram()?, &headers)?;
    let body = read(request, &bot).await?;
    bot.receive(telegram::read(&body)?).await
}

async fn from_slack(State(bot): State<Bot>, cx: Context, headers: HeaderMap, request: Request) -> Result<Response> {
    let secret = &bot.config.slack()?.signing_secret;
    let signature = slack::Signature::new(&headers, cx.now())?;
    // The signature is of the received bytes: no extractor may parse them first.
    let body = read(request, &bot).await?;
    signature.verify(secret, &body)?;
    bot.receive(slack::read(&body)?).await
}

/// The body as received. isobar itself rejects one that is too large.
async fn read(request: Request, bot: &Bot) -> Result<Bytes> {
    let body = Bytes::from_request(request, bot).await;
    body.map_err(|error| Error::invalid_input("the body cannot be read").with_source(error))
}
