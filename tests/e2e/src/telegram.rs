//! **A double** of Telegram: the calls of its webhook, and the Web API by which a bot replies.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use isobar::{Body, Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::server::{Respond, start};

const SECRET_TOKEN: &str = "hunter2-of-telegram";

/// A server that accepts every message. It ends with the runtime of the trial.
#[derive(Debug)]
pub struct Telegram {
    url: String,
    messages: Mutex<Vec<Value>>,
}

impl Telegram {
    /// Starts the server on a free port of the loopback.
    pub async fn start() -> Result<Arc<Self>> {
        start(|url| Self { url, messages: Mutex::default() }).await
    }

    /// What a person sets for the app `chatbot`, so that it uses this server.
    pub fn values(&self) -> [(&'static str, String); 3] {
        [
            ("apis", json!({ "telegram": self.url }).to_string()),
            ("telegram-secret-token", SECRET_TOKEN.to_owned()),
            ("telegram-bot-token", "1:hunter2-of-the-bot".to_owned()),
        ]
    }

    /// A call of the webhook: the update for a message with this text.
    pub fn update(number: u32, text: &str) -> Result<Request<Body>> {
        let update = json!({"update_id": number, "message": {
            "message_id": number, "date": 1_790_000_000, "text": text,
            "chat": {"id": 7, "type": "private", "first_name": "Ada"},
            "from": {"id": 7, "is_bot": false, "first_name": "Ada"},
        }});
        Self::webhook(update.to_string())
    }

    /// A call of the webhook with any body.
    pub fn webhook(body: String) -> Result<Request<Body>> {
        let request = Request::post("/telegram")
            .header("content-type", "application/json")
            .header("x-telegram-bot-api-secret-token", SECRET_TOKEN)
            .body(Body::from(body));
        request.map_err(|error| Error::invalid_input("this is not a valid HTTP request").with_source(error))
    }

    /// The bodies of all calls of the Web API, in order.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.lock().clone()
    }
}

#[async_trait]
impl Respond for Telegram {
    async fn respond(&self, _: Parts, body: Bytes) -> Result<Response<Body>> {
        self.messages.lock().push(serde_json::from_slice(&body).unwrap_or_default());
        Ok(Response::new(Body::from(r#"{"ok":true,"result":{}}"#)))
    }
}
