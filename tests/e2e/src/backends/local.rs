//! The embedded provider: a folder of its own, a real server on a free port, and a clock that
//! stands still.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request};
use isobar::clock::ManualClock;
use isobar::driver::{Clock, Hosted, ResourceKind};
use isobar::local::{LocalConfig, LocalProvider};
use isobar::manifest::Manifest;
use isobar::pub_sub::{DeadLetter, Message, MessageId};
use isobar::{App, Body, Cloud, Error, Result, TestResponse};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{kind_named, send};
use isobar_conformance::{BuildApp, Harness, HarnessResult, RunningApp, World};

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

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        Ok(send(request.map(Body::from)).await?)
    }

    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        let Self { folder, clock, provider, _server: server } = *self;
        server.end().await;
        drop(provider);
        // The file is free when the thread that writes to it has seen that nobody is left.
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

/// The provider on a folder, and a server of no app.
async fn serve(folder: &TempDir, clock: &ManualClock) -> Result<(LocalProvider, LocalApp)> {
    let mut config = LocalConfig::new(folder.path());
    (config.port, config.announce, config.grace) = (0, false, Duration::from_secs(5));
    let provider = LocalProvider::with_clock(config, Arc::new(clock.clone()));
    let server = LocalApp::start(&provider, Box::new(|_| Ok(App::new("nothing")))).await?;
    Ok((provider, server))
}

/// Where the inspector is: its address with the token in the query.
#[derive(Debug)]
pub(super) enum Inspector {
    /// This process serves it.
    Served(String),
    /// Another process writes it there at each start.
    File(PathBuf),
}

impl Inspector {
    async fn url(&self) -> Result<Uri> {
        let url = match self {
            Self::Served(url) => url.clone(),
            Self::File(file) => {
                let told: Value = serde_json::from_slice(&written(file).await?)?;
                let part = |name: &str| told[name].as_str().unwrap_or_default();
                format!("{}?token={}", part("url"), part("token"))
            }
        };
        url.parse().map_err(not_a_path)
    }
}

/// The file is there a moment after the port is open.
async fn written(file: &Path) -> Result<Vec<u8>> {
    for _ in 0..1_000 {
        if let Ok(content) = std::fs::read(file) {
            return Ok(content);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(Error::internal(format!("{} is not written", file.display())))
}

/// An app that answers at an address, also where another process serves it.
#[derive(Debug)]
pub(super) struct LocalApp {
    manifest: Arc<Manifest>,
    authority: Authority,
    inspector: Inspector,
    tasks: JoinSet<Result<()>>,
}

impl LocalApp {
    /// The app that is served at this address.
    pub(super) fn at(address: &str, inspector: Inspector, manifest: Manifest) -> Result<Self> {
        Ok(Self { manifest: Arc::new(manifest), authority: authority(address)?, inspector, tasks: JoinSet::new() })
    }

    async fn start(provider: &LocalProvider, app: BuildApp) -> Result<Self> {
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let mut app = app(&cloud)?;
        let manifest = Arc::new(app.start(&cloud)?);
        let server = provider.bind().await?;
        let authority = authority(&server.address().to_string())?;
        let inspector = server.inspector().ok_or_else(|| Error::internal("there is no inspector"))?;
        let inspector = Inspector::Served(inspector);
        let hosted = Hosted::new(app, Arc::clone(&manifest));
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(hosted, std::future::pending()));
        let running = Self { manifest, authority, inspector, tasks };
        // It answers when it has subscribed to what the app handles.
        running.inspect(Method::GET, "", Bytes::new()).await?;
        Ok(running)
    }

    /// Ends as at a crash: nothing is drained.
    async fn end(mut self) {
        self.tasks.shutdown().await;
    }

    fn url(&self, path: PathAndQuery) -> Result<Uri> {
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(path);
        uri.build().map_err(|error| Error::invalid_input("not a path").with_source(error))
    }

    /// Asks the inspector.
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
        if response.status.is_success() { Ok(response) } else { Err(told(&response)) }
    }

    async fn is_quiet(&self) -> Result<bool> {
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
        let (mut parts, body) = request.into_parts();
        parts.uri = self.url(parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")))?;
        Ok(send(Request::from_parts(parts, body)).await?)
    }

    async fn invoke(&self, function: &str, payload: Bytes) -> HarnessResult<Bytes> {
        Ok(self.inspect(Method::POST, &format!("functions/{function}"), payload).await?.body)
    }

    async fn tick(&self, schedule: &str) -> HarnessResult<()> {
        self.inspect(Method::POST, &format!("schedules/{schedule}"), Bytes::new()).await?;
        Ok(())
    }

    async fn deliver(&self) -> HarnessResult<()> {
        while !self.is_quiet().await? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    async fn dead_letters(&self, kind: ResourceKind, name: &str) -> HarnessResult<Vec<DeadLetter>> {
        let path = format!("dead-letters/{kind}s/{name}?limit=1000");
        let answer: Value = self.inspect(Method::GET, &path, Bytes::new()).await?.json()?;
        Ok(listed(&answer, "dead_letters")?.iter().map(dead_letter).collect())
    }

    async fn redrive(&self, kind: ResourceKind, name: &str) -> HarnessResult<usize> {
        let path = format!("dead-letters/{kind}s/{name}");
        let answer: Value = self.inspect(Method::POST, &path, Bytes::new()).await?.json()?;
        Ok(usize::try_from(answer["redriven"].as_u64().unwrap_or_default()).unwrap_or_default())
    }
}

/// A list in an answer. Without it nothing is known, which is not the same as an empty one.
fn listed<'a>(answer: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    answer[name].as_array().ok_or_else(|| Error::internal(format!("no `{name}` in {answer}")))
}

fn dead_letter(told: &Value) -> DeadLetter {
    let text = |name: &str| match &told[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let now = ManualClock::default().now();
    let body = told["body_hex"].as_str().map_or_else(|| text("body").into_bytes(), unhex);
    let mut message = Message::new(MessageId::new(text("id")), body, now);
    message.attempt = u32::try_from(told["attempts"].as_u64().unwrap_or_default()).unwrap_or_default();
    let attributes = told["attributes"].as_object().into_iter().flatten();
    message.attributes =
        attributes.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    DeadLetter::new(&message, text("reason"), now)
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).unwrap_or_default();
    text.as_bytes().chunks(2).map(byte).collect()
}

/// The error that an endpoint told, with its kind.
fn told(response: &TestResponse) -> Error {
    let told: Value = response.json().unwrap_or_default();
    Error::new(kind_named(&told["error"]), told["detail"].as_str().map_or_else(|| response.text(), str::to_owned))
}

fn not_a_path(error: http::uri::InvalidUri) -> Error {
    Error::invalid_input("not a path").with_source(error)
}

fn authority(address: &str) -> Result<Authority> {
    let parsed: std::result::Result<Authority, http::uri::InvalidUri> = address.parse();
    parsed.map_err(|error| Error::internal("not an address").with_source(error))
}
