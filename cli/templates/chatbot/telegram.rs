//! The API of Telegram: <https://core.telegram.org/bots/api>.
//!
//! The configuration `telegram` is JSON. `{"api": "log"}` writes replies to the log; without it they are sent to Telegram.

use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use isobar::axum::body::Body;
use isobar::axum::http::Request;
use isobar::prelude::{Cloud, Config, Error, Result, Secret, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::Incoming;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An event of Telegram. Only messages with text are of interest here.
#[derive(Deserialize)]
pub(crate) struct Update {
    update_id: i64,
    message: Option<TextMessage>,
}

#[derive(Deserialize)]
struct TextMessage {
    chat: Chat,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    api: String,
}

#[derive(Clone)]
pub(crate) struct Telegram {
    settings: Config<Settings>,
    bot_token: Secret,
    client: Client<HttpsConnector<HttpConnector>, Body>,
}

impl Update {
    pub(crate) fn into_incoming(self) -> Option<Incoming> {
        let message = self.message?;
        Some(Incoming {
            update: self.update_id,
            chat: message.chat.id,
            text: message.text?,
        })
    }
}

impl Telegram {
    pub(crate) fn open(cloud: &Cloud) -> Result<Self> {
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            settings: cloud.config("telegram").optional(),
            bot_token: cloud.secret("bot-token"),
            client: Client::builder(TokioExecutor::new()).build(tls),
        })
    }

    /// Sends a message to a chat.
    pub(crate) async fn send(&self, chat: i64, text: &str) -> Result<()> {
        let settings = self.settings.find().await?;
        let api = settings
            .as_ref()
            .map_or("https://api.telegram.org", |settings| &settings.api);
        if api == "log" {
            tracing::info!(chat, text, "reply");
            return Ok(());
        }
        let token = self.bot_token.get().await?;
        // The URL contains the token, so no error contains the URL.
        let message = json!({ "chat_id": chat, "text": text });
        let request = Request::post(format!("{api}/bot{}/sendMessage", token.reveal()))
            .header("content-type", "application/json")
            .body(Body::from(message.to_string()))
            .map_err(|_| Error::invalid_input("the token or the address is malformed"))?;
        let response = timeout(TIMEOUT, self.client.request(request)).await;
        let response = response
            .map_err(|_| Error::timeout("Telegram did not respond in time"))?
            .map_err(|error| Error::unavailable("Telegram cannot be reached").with_source(error))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Err(Error::unavailable(format!("Telegram responded {status}")))
            }
            status => {
                let reason = format!("Telegram rejected the reply: {status}");
                Err(Error::invalid_input(reason))
            }
        }
    }
}
