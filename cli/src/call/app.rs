//! The app that runs on this machine, and its inspector.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use isobar::local::profile::PROFILE;
use isobar::manifest::Manifest;
use serde::Deserialize;

use super::names::unknown;
use super::payload::{Body, Payload};
use crate::failure::Failure;
use crate::place::Place;
use crate::project::{PackageArgs, Project};

const START: &str = "start it: isobar dev, or cargo run";

/// The longest call. The app ends one at its own limit before.
const LIMIT: Duration = Duration::from_secs(PROFILE.limits.event_timeout.as_secs() + 10);

/// The file of the inspector. It has no `Debug`, because it contains a secret.
#[derive(Deserialize)]
struct EntryFile {
    port: u16,
    token: String,
}

/// An app that answers.
pub(crate) struct RunningApp {
    file: PathBuf,
    entry: EntryFile,
    pub(crate) manifest: Manifest,
    pub(crate) queues: Vec<QueueState>,
}

/// A queue of the app, and how many dead letters it has.
#[derive(Debug, Deserialize)]
pub(crate) struct QueueState {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) dead: u64,
}

impl QueueState {
    /// The name for people: `orders`, or `orders/mail` for a subscription.
    pub(crate) fn label(&self) -> String {
        let Self { name, queue, .. } = self;
        if queue == "default" { name.clone() } else { format!("{name}/{queue}") }
    }
}

#[derive(Deserialize)]
struct Overview {
    manifest: Manifest,
    queues: Vec<QueueState>,
}

/// A request to the inspector. The texts of `path` and `query` need no escapes.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) payload: Payload,
}

impl RunningApp {
    /// The app that runs in the working folder, or in that of the project. Failures: none runs, or another program answers.
    pub(crate) async fn find(args: &PackageArgs) -> Result<Self, Failure> {
        if args.package.is_none()
            && let Some(file) = entry_file(&Place::here(None)?)
        {
            return Self::open(file).await;
        }
        let project = Project::find(args)?;
        let place = Place::enter(&project.folder, None)?;
        match entry_file(&place) {
            Some(file) => Self::open(file).await,
            None => {
                let data = absolute(&place.config.data);
                Err(Failure::new(format!(
                    "`{}` does not run: {} has no inspector.json",
                    project.package,
                    data.display()
                ))
                .hint(format!("{START}; set ISOBAR_DATA if its data are in another folder")))
            }
        }
    }

    /// The app that runs in the working folder, for completions.
    pub(crate) async fn here() -> Option<Self> {
        Self::open(entry_file(&Place::here(None).ok()?)?).await.ok()
    }

    async fn open(file: PathBuf) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::error::Error| {
            Failure::new(format!("{} cannot be read", file.display())).because(error).hint(START)
        };
        let text = std::fs::read(&file).map_err(|error| wrong(&error))?;
        let entry = serde_json::from_slice::<EntryFile>(&text).map_err(|error| wrong(&error))?;
        let overview = Call { method: Method::GET, path: &[], query: &[], payload: Payload::default() };
        let overview = exchange(&entry, &file, overview, "the overview of the app").await?;
        let Overview { manifest, queues } = serde_json::from_slice(&overview).map_err(|error| {
            let address = format!("127.0.0.1:{}", entry.port);
            Failure::new(format!("the answer of {address} is not that of an inspector of isobar"))
                .because(&error)
                .hint(format!("another program may have the port of {}; {START}", file.display()))
        })?;
        Ok(Self { file, entry, manifest, queues })
    }

    /// Sends a request. `what` begins the failure where the app reports one.
    pub(crate) async fn call(&self, call: Call<'_>, what: &str) -> Result<Bytes, Failure> {
        exchange(&self.entry, &self.file, call, what).await
    }

    /// Fails for a name that the app does not have.
    pub(crate) fn check_name<'a>(
        &self,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Result<(), Failure> {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) { Ok(()) } else { Err(unknown(&self.manifest.app, kind, name, &known)) }
    }
}

fn entry_file(place: &Place) -> Option<PathBuf> {
    let file = absolute(&place.config.data.join("inspector.json"));
    file.exists().then_some(file)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

async fn exchange(entry: &EntryFile, file: &Path, call: Call<'_>, what: &str) -> Result<Bytes, Failure> {
    let address = format!("127.0.0.1:{}", entry.port);
    let request = Request::builder()
        .method(call.method)
        .uri(format!("http://{address}/{}", target(call.path, call.query)))
        .header(AUTHORIZATION, format!("Bearer {}", entry.token))
        .body(call.payload.into_body())
        .map_err(|error| Failure::new("the request cannot be made").because(&error))?;
    let late = |_| Failure::new(format!("no answer from {address} within {} s: {what}", LIMIT.as_secs()));
    let answer = tokio::time::timeout(LIMIT, send(request)).await.map_err(late)?;
    let (status, body) = answer.map_err(|error| no_answer(&error, &address, file))?;
    match status {
        status if status.is_success() => Ok(body),
        StatusCode::UNAUTHORIZED => {
            Err(Failure::new(format!("{address} rejects the token in {}: another app has that port", file.display()))
                .hint(format!("the app of this folder was killed; {START}")))
        }
        status => Err(reported(what, &reason(status, &body))),
    }
}

fn reported(what: &str, reason: &str) -> Failure {
    let first = reason.lines().next().unwrap_or_default();
    // The terminal of `isobar dev` has the other lines.
    let has_no_app = first.starts_with("isobar dev: ") && (first.contains(" ended (") || first != reason);
    match has_no_app {
        true => Failure::new(format!("{what}: {first}")).hint("change a file, or start isobar dev again"),
        false => Failure::new(format!("{what}: {reason}")),
    }
}

async fn send(request: Request<Body>) -> Result<(StatusCode, Bytes), SendError> {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let response = client.request(request).await.map_err(SendError::Request)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(SendError::Answer)?;
    Ok((status, body.to_bytes()))
}

enum SendError {
    Request(legacy::Error),
    Answer(hyper::Error),
}

fn no_answer(error: &SendError, address: &str, file: &Path) -> Failure {
    let ended = Failure::new(format!("{address} ended the connection before it had answered"));
    match error {
        SendError::Request(error) if error.is_connect() => {
            let file = file.display();
            Failure::new(format!("the app that wrote {file} does not run any more: {address} does not answer"))
                .hint(START)
        }
        SendError::Request(error) => ended.because(error).hint("the log of the app may say why"),
        SendError::Answer(error) => ended.because(error).hint("the log of the app may say why"),
    }
}

/// The text of an error of the inspector.
fn reason(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Reported {
        message: String,
    }
    let text = || String::from_utf8_lossy(body).trim().to_owned();
    let reported = serde_json::from_slice::<Reported>(body).map_or_else(|_| text(), |reported| reported.message);
    if reported.is_empty() { status.to_string() } else { reported }
}

fn target(path: &[&str], query: &[(&str, &str)]) -> String {
    let path: Vec<_> = path.iter().map(|part| escape(part)).collect();
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", path.join("/"), query.join("&"))
}

fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}
