//! **A double** of Cloud Storage, made by us: no emulator checks a signature, and the one that pages its
//! lists copies over what it must not.
//!
//! It follows the documentation of the JSON API (<https://cloud.google.com/storage/docs/json_api>), and of the
//! XML API for content (<https://cloud.google.com/storage/docs/xml-api>), as strictly as that goes, and checks
//! what the service checks: tokens, V4 signatures and their end, generations, the size of chunks. What it
//! cannot show is what the documentation does not say.
//!
//! | request | answer |
//! |---|---|
//! | `POST /upload/storage/v1/b/B/o?uploadType=multipart` | 200, 412 |
//! | `POST …?uploadType=resumable`, `PUT` and `DELETE` of its session | 200, 308, 412, 499 |
//! | `GET /storage/v1/b/B/o` | a page; groups count |
//! | `GET`, `DELETE /storage/v1/b/B/o/O` | 200, 204, 404 |
//! | `POST /storage/v1/b/B/o/O/rewriteTo/b/B/o/O` | 200, and more to do the first time; 412 |
//! | `GET`, `HEAD`, `PUT /B/O` | 200, 206, 412, 416; with a token or a signed URL |
//!
//! TLS and plain HTTP on one port of loopback: what has no TLS may bring a signed URL, and no token.

mod auth;
mod listener;
mod request;
mod store;
mod uploads;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use http::Request;
use isobar::{Clock, Error, Result};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinHandle;

use listener::Both;
use store::Store;

/// The service account that may do everything.
pub const EMAIL: &str = "app@double.iam.gserviceaccount.com";

/// Its key, which was made for this double and opens nothing else.
const KEY: &str = include_str!("storage/key.pem");

/// A running double. It ends with this value.
#[derive(Debug)]
pub struct CloudStorage {
    url: String,
    certificate: String,
    shared: Arc<Shared>,
    serve: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// With the port.
    host: String,
    /// The public half of the key.
    public: Vec<u8>,
    clock: Arc<dyn Clock>,
    /// By `clock`.
    started: SystemTime,
    store: Mutex<Store>,
}

impl Shared {
    /// The machine's time, and as much more as the clock was moved on: signatures go by the machine's.
    fn now(&self) -> SystemTime {
        SystemTime::now() + self.clock.now().duration_since(self.started).unwrap_or_default()
    }
}

impl CloudStorage {
    /// Starts one on a port of its own.
    pub async fn start(clock: Arc<dyn Clock>) -> Result<Self> {
        let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::internal("the double of Cloud Storage does not start").with_source(error)
        };
        let (listener, certificate) = Both::bind().await.map_err(wrong)?;
        let host = listener.host().to_owned();
        let (public, started) = (auth::public(KEY).map_err(wrong)?, clock.now());
        let shared = Arc::new(Shared { host: host.clone(), public, clock, started, store: Mutex::default() });
        let router = Router::new().fallback(handle).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let serve = tokio::spawn(async move {
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("https://{host}"), certificate, shared, serve })
    }

    /// Where it listens, by TLS, without a slash at the end. Plain HTTP is on the same port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that its certificate is of, as PEM: for `SSL_CERT_FILE`.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The file of the service account: for `GOOGLE_APPLICATION_CREDENTIALS`.
    pub fn credentials(&self) -> String {
        account()
    }

    /// Makes a bucket. One that is there already stays.
    pub fn create_bucket(&self, name: &str) {
        self.shared.store.lock().create_bucket(name);
    }

    /// Uploads that have begun, and neither ended nor been cancelled.
    pub fn open_uploads(&self) -> usize {
        self.shared.store.lock().uploads.open()
    }
}

impl Drop for CloudStorage {
    fn drop(&mut self) {
        self.serve.abort();
    }
}

/// The file of a service account whose key is known.
pub fn account() -> String {
    let account = json!({
        "type": "service_account", "project_id": "double", "private_key_id": "1", "private_key": KEY,
        "client_email": EMAIL, "universe_domain": "googleapis.com",
    });
    account.to_string()
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    request: Request<axum::body::Body>,
) -> http::Response<axum::body::Body> {
    request::handle(&shared, request).await
}

#[cfg(test)]
mod tests;
