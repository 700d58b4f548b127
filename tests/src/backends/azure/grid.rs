//! **A double** of Event Grid, made by us: it stands between the provider and the blobs, lets everything through,
//! and puts what happened in a container into its queue, in the schema of Event Grid.
//!
//! Source: <https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage>.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use isobar::clock::to_rfc3339;
use isobar::{Body, Clock, Error, ErrorKind, ManualClock, Result};
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

use super::storage::Storage;

/// A way to the blobs that tells of them.
#[derive(Debug)]
pub(super) struct Grid {
    url: String,
    emulator: String,
    storage: Arc<Storage>,
    clock: ManualClock,
    /// By container, the queue of its events.
    queues: Mutex<BTreeMap<String, String>>,
    events: AtomicU64,
}

impl Grid {
    /// Listens on a free port of the loopback, as long as the trial's runtime lives.
    pub(super) async fn start(emulator: &str, storage: Arc<Storage>, clock: &ManualClock) -> Result<Arc<Self>> {
        let (listener, url) = listen().await?;
        let (emulator, clock, queues) = (emulator.to_owned(), clock.clone(), Mutex::default());
        let grid = Arc::new(Self { url, emulator, storage, clock, queues, events: AtomicU64::new(1) });
        let service = Router::new().fallback(pass).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&grid));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(grid)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn leads(&self, container: &str) -> bool {
        self.queues.lock().contains_key(container)
    }

    /// Leads the events of a container into a queue, as a subscription of Event Grid does.
    pub(super) fn lead(&self, container: String, queue: String) {
        self.queues.lock().insert(container, queue);
    }

    /// Tells of what a request did that succeeded.
    async fn tell(&self, parts: &Parts, size: u64) -> Result<()> {
        let Some((kind, api)) = change(parts) else { return Ok(()) };
        let path = parts.uri.path();
        let Some((container, blob)) = named(path) else { return Ok(()) };
        let Some(queue) = self.queues.lock().get(&container).cloned() else { return Ok(()) };
        let size = match api {
            "PutBlob" => Some(size),
            "DeleteBlob" => None,
            _ => self.storage.size(path).await?,
        };
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let event = json!({
            "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
            "subject": format!("/blobServices/default/containers/{container}/blobs/{blob}"),
            "eventType": format!("Microsoft.Storage.{kind}"), "id": format!("event-{number}"),
            "eventTime": to_rfc3339(self.clock.now()),
            "data": {
                "api": api, "contentLength": size, "blobType": "BlockBlob", "url": format!("{}{path}", self.emulator),
                "sequencer": format!("{number:032}"),
            },
            "dataVersion": "", "metadataVersion": "1",
        });
        self.storage.send(&queue, &BASE64_STANDARD.encode(event.to_string())).await
    }
}

/// The container and the blob of a path, whose first part is the account.
fn named(path: &str) -> Option<(String, String)> {
    let (_, path) = path.trim_start_matches('/').split_once('/')?;
    path.split_once('/').map(|(container, blob)| (container.to_owned(), decoded(blob)))
}

/// What a request does to a blob, as Event Grid calls it, and the operation.
fn change(parts: &Parts) -> Option<(&'static str, &'static str)> {
    let query = parts.uri.query().unwrap_or_default();
    let asks = |pair: &str| query.split('&').any(|it| it == pair);
    let part = query.split('&').any(|it| it.starts_with("comp=")) || asks("restype=container");
    match parts.method {
        Method::PUT if asks("comp=blocklist") => Some(("BlobCreated", "PutBlockList")),
        Method::PUT if part => None,
        Method::PUT if parts.headers.contains_key("x-ms-copy-source") => Some(("BlobCreated", "CopyBlob")),
        Method::PUT => Some(("BlobCreated", "PutBlob")),
        Method::DELETE if !part => Some(("BlobDeleted", "DeleteBlob")),
        _ => None,
    }
}

async fn pass(State(grid): State<Arc<Grid>>, request: Request<axum::body::Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let passed = async {
        let body = whole(body).await?;
        let size = body.len() as u64;
        let answer = forward(&grid.emulator, &parts, body).await?;
        if answer.status().is_success() {
            grid.tell(&parts, size).await?;
        }
        Ok::<_, Error>(answer)
    };
    passed.await.unwrap_or_else(|error| bad_gateway(&error))
}

/// A free port of the loopback, and its URL without a slash at the end.
pub(super) async fn listen() -> Result<(TcpListener, String)> {
    let failed = |error| Error::internal("no port").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    Ok((listener, url))
}

/// Sends a request on as it came. The answer streams.
pub(super) async fn forward(to: &str, parts: &Parts, body: Bytes) -> Result<Response<Body>> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(&parts.method).uri(format!("{to}{path}"));
    let hops = [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT];
    for (name, value) in parts.headers.iter().filter(|(name, _)| !hops.contains(name)) {
        request = request.header(name, value);
    }
    // The client leaves the length of an empty body out, which the service wants to know.
    if body.is_empty() && parts.method == Method::PUT && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        request = request.header(header::CONTENT_LENGTH, "0");
    }
    let request =
        request.body(Body::from(body)).map_err(|error| Error::internal("not a request").with_source(error))?;
    let client: Client<HttpConnector, Body> = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let unreachable = |error| Error::new(ErrorKind::Unavailable, "the emulator does not answer").with_source(error);
    let (mut head, body) = client.request(request).await.map_err(unreachable)?.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers.remove(header::CONNECTION);
    Ok(Response::from_parts(head, Body::new(body)))
}

pub(super) async fn whole<B>(body: B) -> Result<Bytes>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let read = body.collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| Error::invalid("it broke off").with_source(error))
}

pub(super) fn bad_gateway(error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{error:?}")));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
