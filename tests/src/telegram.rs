//! **A double** of Telegram, made by us: its webhook's calls, and the Web API that a bot answers through.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use bytes::Bytes;
use http::Request;
use isobar::{Body, Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SECRET_TOKEN: &str = "telegram-secret-token";

/// It takes every message, and ends when it is dropped.
#[derive(Debug)]
pub struct Telegram {
    url: String,
    seen: Arc<Mutex<Vec<Value>>>,
    serving: JoinHandle<()>,
}

impl Telegram {
    /// Starts it on a free port of the loopback.
    pub async fn start() -> Result<Self> {
        let unbound = |source| Error::internal("no port is free").with_source(source);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(unbound)?;
        let url = format!("http://{}", listener.local_addr().map_err(unbound)?);
        let seen = Arc::<Mutex<Vec<Value>>>::default();
        let service = Router::new().fallback(take).with_state(Arc::clone(&seen));
        let serving = tokio::spawn(async move {
            let _ended = axum::serve(listener, service).await;
        });
        Ok(Self { url, seen, serving })
    }

    /// What the app `chatbot` needs to know of it.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let vars = [
            ("TELEGRAM_API", self.url.as_str()),
            ("TELEGRAM_SECRET_TOKEN", SECRET_TOKEN),
            ("TELEGRAM_BOT_TOKEN", "1:telegram-bot-token"),
        ];
        vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// A webhook's call: somebody wrote this.
    pub fn update(number: u32, text: &str) -> Result<Request<Body>> {
        let update = json!({"update_id": number, "message": {
            "message_id": number, "date": 1_790_000_000, "text": text,
            "chat": {"id": 7, "type": "private", "first_name": "Ada"},
            "from": {"id": 7, "is_bot": false, "first_name": "Ada"},
        }});
        Self::webhook(update.to_string())
    }

    /// A webhook's call with any body.
    pub fn webhook(body: String) -> Result<Request<Body>> {
        let request = Request::post("/telegram")
            .header("content-type", "application/json")
            .header("x-telegram-bot-api-secret-token", SECRET_TOKEN)
            .body(Body::from(body));
        request.map_err(|error| Error::invalid("not a request").with_source(error))
    }

    /// What was sent through the Web API, in order.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().clone()
    }
}

impl Drop for Telegram {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(seen): State<Arc<Mutex<Vec<Value>>>>, body: Bytes) -> &'static str {
    seen.lock().push(serde_json::from_slice(&body).unwrap_or_default());
    r#"{"ok":true,"result":{}}"#
}
