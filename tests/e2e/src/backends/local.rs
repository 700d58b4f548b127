//! The embedded provider: a temporary folder, a real server on a free port, and a manual clock.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::Uri;
use http::{Method, Request};
use isobar::clock::ManualClock;
use isobar::driver::pub_sub::Backlog;
use isobar::driver::{Clock, Provider};
use isobar::local::{LocalConfig, LocalProvider};
use isobar::manifest::Manifest;
use isobar::pub_sub::{DeadLetter, Message, MessageId};
use isobar::{App, Body, Cloud, Error, EventQueue, Result, TestResponse};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::cloud::declare;
use super::{error_in, send, send_to, wait};
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

/// Longest wait for the file with the inspector's address.
const FILE_LIMIT: Duration = Duration::from_secs(5);

/// The embedded provider.
#[derive(Debug, Clone, Copy)]
pub struct Local;

#[async_trait]
impl Harness for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let folder = TempDir::new().map_err(|error| Error::internal("no temporary folder").with_source(error))?;
        let clock = ManualClock::default();
        let (provider, server) = serve(&folder, &clock).await?;
        Ok(Box::new(LocalWorld { folder, clock, provider, _server: server }))
    }
}

struct LocalWorld {
    folder: TempDir,
    clock: ManualClock,
    provider: LocalProvider,
    // Serves signed URLs also where a trial runs no app.
    _server: LocalApp,
}

#[async_trait]
impl World for LocalWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::new(self.provider.clone()))
    }

    fn clock(&self) -> Option<&ManualClock> {
        Some(&self.clock)
    }

    async fn start(&self, app: BuildApp) -> HarnessResult<Box<dyn RunningApp>> {
        Ok(Box::new(LocalApp::start(&self.provider, app).await?))
    }

    async fn set_secret(&self, name: &str, value: Option<&str>) -> HarnessResult<()> {
        Ok(set_secret(self.folder.path(), name, value)?)
    }

    async fn backlog(&self, queue: &EventQueue) -> HarnessResult<Arc<dyn Backlog>> {
        Ok(self.provider.backlog(queue)?)
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        let Self { folder, clock, provider, _server: server } = *self;
        server.end().await;
        drop(provider);
        // The file is free when the thread that writes to it has noticed that the last handle was dropped.
        let mut opened = serve(&folder, &clock).await;
        for _ in 0..200 {
            if opened.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            opened = serve(&folder, &clock).await;
        }
        let (provider, server) = opened?;
        Ok(Box::new(Self { folder, clock, provider, _server: server }))
    }
}

/// Sets a value in the file of secrets of a data folder; `None` removes it.
pub(super) fn set_secret(data: &Path, key: &str, value: Option<&str>) -> Result<()> {
    let file = data.join("secrets.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
    let mut values: serde_json::Map<String, Value> = serde_json::from_str(&text)?;
    match value {
        Some(value) => drop(values.insert(key.to_owned(), value.into())),
        None => drop(values.remove(key)),
    }
    let written = std::fs::write(&file, Value::Object(values).to_string())
        .and_then(|()| std::fs::set_permissions(&file, Permissions::from_mode(0o600)));
    written.map_err(|error| Error::internal("the file of secrets cannot be written").with_source(error))
}

/// The provider on a folder, and a server of no app.
async fn serve(folder: &TempDir, clock: &ManualClock) -> Result<(LocalProvider, LocalApp)> {
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce, config.grace) = (0, false, Duration::from_secs(5));
    let provider = LocalProvider::with_clock(config, Arc::new(clock.clone()));
    let server = LocalApp::start(&provider, Box::new(|_| Ok(App::new("nothing")))).await?;
    Ok((provider, server))
}

/// Source of the inspector's address, which has the token in its query.
#[derive(Debug)]
pub(super) enum Inspector {
    /// The address: this process serves it.
    Served(String),
    /// The file to which another process writes it at each start.
    File(PathBuf),
}

impl Inspector {
    async fn url(&self) -> Result<Uri> {
        let url = match self {
            Self::Served(url) => url.clone(),
            Self::File(file) => {
                // The file exists a moment after the port is open.
                let what = format!("{} is written", file.display());
                wait::until(&what, FILE_LIMIT, || async { Ok(file.exists()) }).await?;
                let content = std::fs::read(file);
                let content = content.map_err(|error| Error::internal("the file cannot be read").with_source(error))?;
                let address: Value = serde_json::from_slice(&content)?;
                let part = |name: &str| address[name].as_str().unwrap_or_default();
                format!("{}?token={}", part("url"), part("token"))
            }
        };
        url.parse().map_err(not_a_path)
    }
}

/// An app that listens on an address, in this process or in another.
#[derive(Debug)]
pub(super) struct LocalApp {
    manifest: Arc<Manifest>,
    /// Host and port.
    address: String,
    inspector: Inspector,
    tasks: JoinSet<Result<()>>,
}

impl LocalApp {
    /// The app that another process serves at this address.
    pub(super) fn at(address: &str, inspector: Inspector, manifest: Manifest) -> Self {
        Self { manifest: Arc::new(manifest), address: address.to_owned(), inspector, tasks: JoinSet::new() }
    }

    async fn start(provider: &LocalProvider, app: BuildApp) -> Result<Self> {
        let hosted = declare(provider.clone(), app)?;
        let manifest = Arc::clone(&hosted.manifest);
        let server = provider.bind().await?;
        let address = server.address().to_string();
        let inspector = server.inspector().ok_or_else(|| Error::internal("the server has no inspector"))?;
        let inspector = Inspector::Served(inspector);
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(hosted, std::future::pending()));
        let running = Self { manifest, address, inspector, tasks };
        // It answers when the app has subscribed to the topics and buckets that it handles.
        running.inspect(Method::GET, "", Bytes::new()).await?;
        Ok(running)
    }

    /// Ends as a crash does: nothing is drained.
    async fn end(mut self) {
        self.tasks.shutdown().await;
    }

    /// Calls the inspector.
    pub(super) async fn inspect(&self, method: Method, path: &str, body: Bytes) -> Result<TestResponse> {
        let inspector = self.inspector.url().await?;
        let token = inspector.query().unwrap_or_default();
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("/{path}{separator}{token}").parse().map_err(not_a_path)?;
        let mut parts = inspector.into_parts();
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|error| Error::invalid_input("not a path").with_source(error))?;
        let request = Request::builder().method(method).uri(uri).body(Body::from(body));
        let response = send(request.map_err(|error| Error::invalid_input("not a request").with_source(error))?).await?;
        if response.status.is_success() { Ok(response) } else { Err(error_in(&response.body, "error", "detail")) }
    }

    async fn is_idle(&self) -> Result<bool> {
        let overview: Value = self.inspect(Method::GET, "", Bytes::new()).await?.json()?;
        Ok(listed(&overview, "queues")?.iter().all(|queue| queue["due"] == false && queue["running"] == 0))
    }
}

#[async_trait]
impl RunningApp for LocalApp {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn http(&self, request: Request<Body>) -> HarnessResult<TestResponse> {
        Ok(send_to(&format!("http://{}", self.address), request).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.inspect(Method::POST, &format!("functions/{function}"), payload).await?.body)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        self.inspect(Method::POST, &format!("schedules/{schedule}"), Bytes::new()).await?;
        Ok(())
    }

    async fn deliver(&self) -> HarnessResult<()> {
        Ok(wait::until("all messages are handled", Duration::MAX, || self.is_idle()).await?)
    }

    async fn dead_letters(&self, queue: &EventQueue) -> HarnessResult<Vec<DeadLetter>> {
        let path = format!("{}&limit=1000", dead_letters_path(queue));
        let response: Value = self.inspect(Method::GET, &path, Bytes::new()).await?.json()?;
        Ok(listed(&response, "dead_letters")?.iter().map(dead_letter).collect())
    }

    async fn redrive(&self, queue: &EventQueue) -> HarnessResult<usize> {
        let response: Value = self.inspect(Method::POST, &dead_letters_path(queue), Bytes::new()).await?.json()?;
        Ok(usize::try_from(response["redriven"].as_u64().unwrap_or_default()).unwrap_or_default())
    }
}

fn dead_letters_path(queue: &EventQueue) -> String {
    format!("dead-letters/{}s/{}?queue={}", queue.kind(), queue.source(), queue.name())
}

/// A list in a response. A response without it is an error, not an empty list.
fn listed<'a>(response: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    response[name].as_array().ok_or_else(|| Error::internal(format!("no `{name}` in {response}")))
}

fn dead_letter(entry: &Value) -> DeadLetter {
    let text = |name: &str| match &entry[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let now = ManualClock::default().now();
    let body = entry["body_hex"].as_str().map_or_else(|| text("body").into_bytes(), unhex);
    let mut message = Message::new(MessageId::new(text("id")), body, now);
    message.attempt = u32::try_from(entry["attempts"].as_u64().unwrap_or_default()).unwrap_or_default();
    let attributes = entry["attributes"].as_object().into_iter().flatten();
    message.attributes =
        attributes.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    DeadLetter::new(&message, text("reason"), now)
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).unwrap_or_default();
    text.as_bytes().chunks(2).map(byte).collect()
}

fn not_a_path(error: http::uri::InvalidUri) -> Error {
    Error::invalid_input("not a path").with_source(error)
}
