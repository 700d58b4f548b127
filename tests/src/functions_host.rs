//! **A stand-in** for Azure's Functions host, which cannot be had offline: it does what
//! `reference/azure.md`, section 4, says that the host does, which was read in the host's source.
//!
//! It starts a custom handler, asks `GET /` every 25 ms until it lives, serves HTTP to the outside, and
//! calls triggers when a test fires them. Queues, topics and timers are the test's: it hands over what
//! one of them would deliver, and is told whether the host would take it for done.
//!
//! Not reproduced: keys other than one, authentication of users, binding outputs, the admin API but for
//! [`direct`](FunctionsHost::direct), and routes with parameters.

mod entrance;
mod fire;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use isobar::{Body, Error, ErrorKind, Result};
use serde_json::Value;
use tokio::task::JoinHandle;

pub use fire::{Queued, ServiceBusMessage};
pub use process::State;

use process::Process;

/// The function key that HTTP functions with the level `function` want, as `x-functions-key` or `?code=`.
pub const KEY: &str = "stand-in-function-key";

/// The version that it claims to be.
const VERSION: &str = "4.1037.0.0";

/// What is to be run.
#[derive(Clone)]
pub struct FunctionApp {
    /// The custom handler.
    pub executable: PathBuf,
    /// host.json.
    pub host: Value,
    /// Names of functions, and their function.json.
    pub functions: Vec<(String, Value)>,
    /// The app settings.
    pub settings: Vec<(String, String)>,
}

impl std::fmt::Debug for FunctionApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionApp").field("executable", &self.executable).finish_non_exhaustive()
    }
}

/// How HTTP comes to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Proxying,
    Forwarding,
    Json,
}

/// The host, and the handler that it runs. Both end when this is dropped: the handler is killed.
#[derive(Debug)]
pub struct FunctionsHost {
    core: Arc<Core>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Core {
    app: FunctionApp,
    mode: Mode,
    timeout: Duration,
    process: Process,
    client: Client<HttpConnector, Body>,
}

impl FunctionsHost {
    /// Starts the handler and waits until it answers. Errors: `Config` for a host.json that the host
    /// would not take; `Unavailable` where the handler does not live within `initializationTimeout`.
    pub async fn start(app: FunctionApp) -> Result<Self> {
        let handler = &app.host["customHandler"];
        let on = |name: &str| handler[name].as_bool().unwrap_or_default();
        let mode = match (on("enableProxyingHttpRequest"), on("enableForwardingHttpRequest")) {
            (true, _) => Mode::Proxying,
            (false, true) => Mode::Forwarding,
            (false, false) => Mode::Json,
        };
        check(&app)?;
        let timeout = time_span(&app.host["functionTimeout"])?.unwrap_or(Duration::from_secs(300));
        let patience = time_span(&handler["initializationTimeout"])?.unwrap_or(Duration::from_secs(30));
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let process = Process::start(&app, patience).await?;
        let core = Arc::new(Core { app, mode, timeout, process, client });
        let (address, serving) = entrance::serve(Arc::clone(&core)).await?;
        Ok(Self { core, address, serving })
    }

    /// Where it serves HTTP to the outside.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the handler listens: what nobody outside can reach on Azure.
    pub fn handler_address(&self) -> SocketAddr {
        self.core.process.address()
    }

    /// What has become of the handler.
    pub fn state(&self) -> State {
        self.core.process.state()
    }

    /// How often the handler was started.
    pub fn starts(&self) -> usize {
        self.core.process.starts()
    }

    /// Kills the handler, as the platform does when it takes a machine away. It is started anew.
    pub fn kill(&self) {
        self.core.process.kill();
    }

    /// Ends when the handler answers probes. Errors: `Unavailable` where it never will.
    pub async fn ready(&self) -> Result<()> {
        self.core.process.ready().await
    }
}

impl Drop for FunctionsHost {
    fn drop(&mut self) {
        self.serving.abort();
        self.core.process.end();
    }
}

/// The rules for names and routes that the host starts with.
fn check(app: &FunctionApp) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for (name, function) in &app.functions {
        let valid = name.len() <= 128 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits);
        let bindings = function["bindings"].as_array().map_or(&[][..], Vec::as_slice);
        let triggers = bindings.iter().filter(|binding| binding["direction"] == "in").count();
        if !valid || triggers != 1 {
            return Err(Error::config("a function has no valid name, or not one trigger"));
        }
    }
    let routes = &app.host["customHandler"]["http"]["routes"];
    if routes.is_array() && !app.functions.is_empty() {
        return Err(Error::config("Only one configuration source is supported"));
    }
    Ok(())
}

/// `hh:mm:ss`.
fn time_span(told: &Value) -> Result<Option<Duration>> {
    let Some(text) = told.as_str() else { return Ok(None) };
    let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some([hours, minutes, seconds]) => Ok(Some(Duration::from_secs((hours * 60 + minutes) * 60 + seconds))),
        _ => Err(Error::config(format!("`{text}` is no time span"))),
    }
}

impl Core {
    /// The binding that triggers a function.
    fn trigger(function: &Value) -> &Value {
        let bindings = function["bindings"].as_array().map_or(&[][..], Vec::as_slice);
        bindings.iter().find(|binding| binding["direction"] == "in").unwrap_or(&Value::Null)
    }

    fn invocation(method: &str, uri: String) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(uri)
            .header("x-azure-functions-hostversion", VERSION)
            .header("x-azure-functions-invocationid", new_id())
            .header("user-agent", format!("Azure-Functions-Host/{VERSION}"))
    }

    /// Calls a function in JSON mode. `Ok` has what it answered. Errors: where the host would count the
    /// invocation as failed, and where it would wait until the function's timeout.
    async fn call(&self, function: &str, payload: &Value) -> Result<Value> {
        self.process.ready().await?;
        let uri = format!("http://{}/{function}", self.process.address());
        let request = Self::invocation("POST", uri).header("content-type", "application/json; charset=utf-8");
        let request = request.body(Body::from(payload.to_string())).map_err(not_a_request)?;
        let Ok(answered) = tokio::time::timeout(self.timeout, self.exchange(request)).await else {
            // There is one process, and all that runs in it ends.
            self.process.kill();
            return Err(Error::new(ErrorKind::Timeout, "the function's timeout has passed; its handler was killed"));
        };
        let (parts, body) = answered?.into_parts();
        if !parts.status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(Error::internal(format!("the invocation failed: {} {text}", parts.status)));
        }
        let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(Error::internal(format!("No MediaTypeFormatter is available to read '{kind}'")));
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Null) | Err(_) if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" => {
                Err(Error::new(ErrorKind::Timeout, "an empty answer: the host waits until the function's timeout"))
            }
            Ok(answer) => Ok(answer),
            Err(error) => Err(Error::internal("the answer is not JSON").with_source(error)),
        }
    }

    async fn exchange(&self, request: http::Request<Body>) -> Result<http::Response<bytes::Bytes>> {
        let broken = |error| Error::new(ErrorKind::Unavailable, "the handler broke off").with_source(error);
        let (parts, body) = self.client.request(request).await.map_err(broken)?.into_parts();
        let body = body.collect().await.map_err(|error| Error::internal("the answer broke off").with_source(error))?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
}

fn not_a_request(source: http::Error) -> Error {
    Error::invalid("not a request").with_source(source)
}

/// An id as .NET writes it.
fn new_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
