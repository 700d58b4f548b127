//! **A stand-in** for Azure's Functions host, which cannot be had offline: it does what
//! `reference/azure.md`, section 4, says that the host does, which was read in the host's source.
//!
//! It starts a custom handler, asks `GET /` every 25 ms until it lives, serves HTTP to the outside, and
//! calls triggers when a test fires them. Queues, topics and timers are the test's: it hands over what
//! one of them would deliver, and is told whether the host would take it for done.
//!
//! Not reproduced: keys other than one, authentication of users, binding outputs, the admin API but for
//! [`direct`](Trigger::direct), and routes with parameters.

mod call;
mod entrance;
mod files;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use isobar::{Body, Error, ErrorKind, Result};
use serde_json::Value;
use tokio::task::JoinHandle;

pub use call::{Call, Queued, ServiceBusMessage};
pub use entrance::output;
pub use files::{Files, Trigger};
pub use process::State;

use files::Mode;
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
    /// What is beside it.
    pub files: Files,
    /// The app settings.
    pub settings: Vec<(String, String)>,
}

impl std::fmt::Debug for FunctionApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionApp").field("executable", &self.executable).finish_non_exhaustive()
    }
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
        app.files.check()?;
        let (mode, timeout) = (app.files.mode(), app.files.function_timeout()?);
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let process = Process::start(&app, app.files.initialization_timeout()?).await?;
        let core = Arc::new(Core { app, mode, timeout, process, client });
        let (address, serving) = entrance::serve(Arc::clone(&core)).await?;
        Ok(Self { core, address, serving })
    }

    /// Where it serves HTTP to the outside.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it runs.
    pub fn files(&self) -> &Files {
        &self.core.app.files
    }

    /// Calls a function. `Ok` means that the host takes the event for done, and has the handler's answer; an error
    /// that it counts the invocation as failed, or waits for it until the function's timeout.
    pub async fn call(&self, call: &Call) -> Result<Value> {
        self.core.call(call).await
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

impl Core {
    fn invocation(method: &str, uri: String) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(uri)
            .header("x-azure-functions-hostversion", VERSION)
            .header("x-azure-functions-invocationid", new_id())
            .header("user-agent", format!("Azure-Functions-Host/{VERSION}"))
    }

    async fn call(&self, call: &Call) -> Result<Value> {
        self.process.ready().await?;
        let uri = format!("http://{}/{}", self.process.address(), call.function);
        let request = Self::invocation("POST", uri).header("content-type", "application/json; charset=utf-8");
        let request = request.body(Body::from(call.payload.to_string())).map_err(not_a_request)?;
        let Ok(answered) = tokio::time::timeout(self.timeout, self.exchange(request)).await else {
            // There is one process, and all that runs in it ends.
            self.process.kill();
            return Err(Error::new(ErrorKind::Timeout, "the function's timeout has passed; its handler was killed"));
        };
        judge(&answered?)
    }

    async fn exchange(&self, request: http::Request<Body>) -> Result<http::Response<Bytes>> {
        let broken = |error| Error::new(ErrorKind::Unavailable, "the handler broke off").with_source(error);
        let (parts, body) = self.client.request(request).await.map_err(broken)?.into_parts();
        let body = body.collect().await.map_err(|error| Error::internal("the answer broke off").with_source(error))?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
}

/// What the host makes of an answer to a call.
pub fn judge(answer: &http::Response<Bytes>) -> Result<Value> {
    let body = answer.body();
    if !answer.status().is_success() {
        let text = String::from_utf8_lossy(body);
        return Err(Error::internal(format!("the invocation failed: {} {text}", answer.status())));
    }
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Error::internal(format!("No MediaTypeFormatter is available to read '{kind}'")));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) | Err(_) if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" => {
            Err(Error::new(ErrorKind::Timeout, "an empty answer: the host waits until the function's timeout"))
        }
        Ok(answer) => Ok(answer),
        Err(error) => Err(Error::internal("the answer is not JSON").with_source(error)),
    }
}

fn not_a_request(source: http::Error) -> Error {
    Error::invalid_input("not a request").with_source(source)
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
