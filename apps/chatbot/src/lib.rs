//! A chatbot behind the webhooks of Telegram and Slack. It answers them at once and works afterwards.
//!
//! | event | what it does |
//! |---|---|
//! | `POST /telegram`, `POST /slack` | verifies who sent it, enqueues it on topic `incoming`, answers 200 |
//! | topic `incoming` | remembers what was said, and replies through the service's Web API, once |
//!
//! The configuration comes from the environment: see [`Config`].

mod answer;
mod config;
mod conversation;
mod inbox;
mod incoming;
mod slack;
mod telegram;
mod web_api;
mod worker;

use std::sync::Arc;

use isobar::axum::body::Bytes;
use isobar::axum::extract::{FromRequest, Request};
use isobar::prelude::*;
use serde_json::json;

pub use config::{Config, Missing, Secret};
pub use incoming::{Incoming, Place};

use conversation::Conversations;
use inbox::Inbox;
use incoming::Received;
use web_api::WebApi;

#[derive(Clone)]
struct Bot {
    config: Arc<Config>,
    incoming: Topic<Incoming>,
    inbox: Inbox,
    conversations: Conversations,
    web: WebApi,
}

/// The app, configured by the environment.
pub fn app(cloud: &Cloud) -> App {
    app_with(cloud, Config::from_env())
}

/// The app with this configuration.
pub fn app_with(cloud: &Cloud, config: Config) -> App {
    let bot = Bot {
        config: Arc::new(config),
        incoming: cloud.topic("incoming"),
        inbox: Inbox::open(cloud),
        conversations: Conversations::open(cloud),
        web: WebApi::default(),
    };
    let worker = bot.clone();
    // A service that is busy for a minute or two is no reason to give a reply up.
    let incoming = bot.incoming.subscription().with_attempts(8);
    App::new("chatbot")
        .on_message(incoming, move |message, _cx| worker::reply(worker.clone(), message))
        .http(Router::new().route("/telegram", post(from_telegram)).route("/slack", post(from_slack)).with_state(bot))
}

async fn from_telegram(State(bot): State<Bot>, headers: HeaderMap, request: Request) -> Result<Response> {
    telegram::verify(bot.config.telegram()?, &headers)?;
    let body = read(request, &bot).await?;
    bot.receive(telegram::read(&body)?).await
}

async fn from_slack(State(bot): State<Bot>, cx: Context, headers: HeaderMap, request: Request) -> Result<Response> {
    let secret = &bot.config.slack()?.signing_secret;
    let signature = slack::Signature::new(&headers, cx.now())?;
    // The signature is of the bytes as they came: nothing may parse them before.
    let body = read(request, &bot).await?;
    signature.verify(secret, &body)?;
    bot.receive(slack::read(&body)?).await
}

/// The body as it came. One that is too large isobar answers by itself.
async fn read(request: Request, bot: &Bot) -> Result<Bytes> {
    let body = Bytes::from_request(request, bot).await;
    body.map_err(|error| Error::invalid("the body cannot be read").with_source(error))
}

/// The sender of a webhook is not known.
fn unverified(reason: &'static str) -> Error {
    tracing::warn!(reason, "a webhook was refused");
    Error::new(ErrorKind::Unauthenticated, reason)
}

impl Bot {
    async fn receive(&self, received: Received) -> Result<Response> {
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
