//! A server that takes the place of Telegram's and Slack's Web APIs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A received request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<VecDeque<(u16, Option<u64>, String)>>,
}

/// It records requests and answers `{"ok": true}`, unless a test sets another response.
#[derive(Debug, Clone)]
pub(crate) struct FakeService {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl FakeService {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let service = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, shared }
    }

    /// What the next request that has no answer yet is answered with.
    pub(crate) fn will_answer(&self, status: u16, body: &Value) -> &Self {
        self.will_answer_text(status, None, &body.to_string())
    }

    pub(crate) fn will_answer_text(&self, status: u16, retry_after: Option<u64>, body: &str) -> &Self {
        self.shared.answers.lock().unwrap().push_back((status, retry_after, body.to_owned()));
        self
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The texts that were sent, in their order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.body["text"].as_str().unwrap().to_owned()).collect()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap();
    shared.seen.lock().unwrap().push(Seen { path: uri.path().to_owned(), headers, body });
    let scripted = shared.answers.lock().unwrap().pop_front();
    let (status, retry_after, body) = scripted.unwrap_or_else(|| (200, None, json!({"ok": true}).to_string()));
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
