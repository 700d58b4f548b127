//! **A double**, made by us, of Google's front end, which is between what pushes and a service: it hands on each push
//! of the emulator as it came, and remembers what was answered, since nothing tells what the emulator still has.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{Request, StatusCode, Uri, request::Parts};
use isobar::{Body, Error, Result};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::backends::send;

/// Subscription and id of a message.
pub(super) type Pushed = (String, String);

/// What hands pushes on. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Pushes {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The service, once it listens.
    service: Mutex<String>,
    /// The status of the last answer, and how often there was one.
    answers: Mutex<BTreeMap<Pushed, (StatusCode, u32)>>,
}

impl Pushes {
    pub(super) async fn start() -> Result<Self> {
        let unbound = |source| Error::internal("no port is free").with_source(source);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unbound)?;
        let (address, shared) = (listener.local_addr().map_err(unbound)?, Arc::<Shared>::default());
        let routes = Router::new().fallback(hand_on).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            let _ended = axum::serve(listener, routes).await;
        });
        Ok(Self { address, shared, serving })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on pushes go there.
    pub(super) fn lead_to(&self, service: String) {
        *self.shared.service.lock() = service;
    }

    /// Is the service done with it?
    pub(super) fn is_done(&self, pushed: &Pushed) -> bool {
        self.shared.answers.lock().get(pushed).is_some_and(|(status, _)| status.is_success())
    }

    /// How many pushes there were of one message, at the most.
    pub(super) fn most(&self) -> u32 {
        self.shared.answers.lock().values().map(|(_, count)| *count).max().unwrap_or(0)
    }
}

impl Drop for Pushes {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn hand_on(State(shared): State<Arc<Shared>>, request: Request<axum::body::Body>) -> StatusCode {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST };
    let pushed = pushed(&body);
    // Where nobody listens Google's front end answers 503.
    let status = match handed(&shared, parts, body).await {
        Ok(status) => status,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut answers = shared.answers.lock();
    let (last, count) = answers.entry(pushed).or_insert((status, 0));
    (*last, *count) = (status, *count + 1);
    status
}

async fn handed(shared: &Shared, mut parts: Parts, body: Bytes) -> Result<StatusCode> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("{}{path}", shared.service.lock()).parse::<Uri>();
    parts.uri = uri.map_err(|error| Error::invalid("not a URL").with_source(error))?;
    Ok(send(Request::from_parts(parts, Body::from(body))).await?.status)
}

fn pushed(body: &[u8]) -> Pushed {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
    (text(&told["subscription"]), text(&told["message"]["messageId"]))
}
