//! **A double** of Azure's Functions host, which no package registry has. Its behaviour was read in the source of the
//! host, <https://github.com/Azure/azure-functions-host>.
//!
//! It starts a custom handler, sends `GET /` every 25 ms until the handler responds, serves HTTP to clients, and calls
//! triggers when a test fires them. Queues, topics and timers belong to the test: the test passes a message or a tick to the
//! host, and the result is whether the host treats it as handled.
//!
//! Not reproduced: more than one key, authentication of users, binding outputs, the admin API except
//! [`direct`](Trigger::direct), and routes with parameters.

mod call;
mod files;
mod http_server;
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
pub use files::{Files, Trigger};
pub use http_server::output;
pub use process::State;

use files::Mode;
use process::Process;

/// The function key that HTTP functions with the level `function` require, as `x-functions-key` or `?code=`.
pub const KEY: &str = "double-function-key";

/// The version in the headers of its requests.
const VERSION: &str = "4.1037.0.0";

/// A deployed app.
#[derive(Clone)]
pub struct FunctionApp {
    /// The custom handler.
    pub executable: PathBuf,
    /// The files next to it.
    pub files: Files,
    /// The app settings.
    pub settings: Vec<(String, String)>,
}

impl std::fmt::Debug for FunctionApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FunctionApp").field("executable", &self.executable).finish_non_exhaustive()
    }
}

/// The host, and the handler that it runs. When this is dropped, the host ends and kills the handler.
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
    /// Starts the handler and waits until it responds. Errors: `Config` for a host.json that the host would reject;
    /// `Unavailable` if the handler does not respond within `initializationTimeout`.
    pub async fn start(app: FunctionApp) -> Result<Self> {
        app.files.check()?;
        let (mode, timeout) = (app.files.mode(), app.files.function_timeout()?);
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let process = Process::start(&app, app.files.initialization_timeout()?).await?;
        let core = Arc::new(Core { app, mode, timeout, process, client });
        let (address, serving) = http_server::serve(Arc::clone(&core)).await?;
        Ok(Self { core, address, serving })
    }

    /// The address at which it serves HTTP to clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The files of the deployed app.
    pub fn files(&self) -> &Files {
        &self.core.app.files
    }

    /// Calls a function. `Ok` contains the response of the handler and means that the host treats the event as handled. An
    /// error means that the host counts the invocation as failed, or waits for it until the function's timeout.
    pub async fn call(&self, call: &Call) -> Result<Value> {
        self.core.call(call).await
    }

    /// The address of the handler, which no client can reach on Azure.
    pub fn handler_address(&self) -> SocketAddr {
        self.core.process.address()
    }

    /// The state of the handler.
    pub fn state(&self) -> State {
        self.core.process.state()
    }

    /// The number of times that the handler was started.
    pub fn starts(&self) -> usize {
        self.core.process.starts()
    }

    /// Kills the handler, as the platform does when it removes a machine. The host starts it again.
    pub fn kill(&self) {
        self.core.process.kill();
    }

    /// Waits until the handler responds to probes. Errors: `Unavailable` if the host has given it up.
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
        let Ok(response) = tokio::time::timeout(self.timeout, self.exchange(request)).await else {
            // All invocations run in one process, and end with it.
            self.process.kill();
            return Err(Error::new(ErrorKind::Timeout, "the function's timeout has passed; its handler was killed"));
        };
        response_value(&response?)
    }

    async fn exchange(&self, request: http::Request<Body>) -> Result<http::Response<Bytes>> {
        let broken = |error| Error::new(ErrorKind::Unavailable, "the handler closed the connection").with_source(error);
        let (parts, body) = self.client.request(request).await.map_err(broken)?.into_parts();
        let body =
            body.collect().await.map_err(|error| Error::internal("the response ended early").with_source(error))?;
        Ok(http::Response::from_parts(parts, body.to_bytes()))
    }
}

/// The value of a handler's response to a call, if the host accepts it. Errors: the invocation counts as failed, or as one
/// that did not end.
pub fn response_value(response: &http::Response<Bytes>) -> Result<Value> {
    let body = response.body();
    if !response.status().is_success() {
        let text = String::from_utf8_lossy(body);
        return Err(Error::internal(format!("the invocation failed: {} {text}", response.status())));
    }
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err(Error::internal(format!("No MediaTypeFormatter is available to read '{kind}'")));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) | Err(_) if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" => {
            Err(Error::new(ErrorKind::Timeout, "the response is empty: the host waits until the function's timeout"))
        }
        Ok(value) => Ok(value),
        Err(error) => Err(Error::internal("the response is not JSON").with_source(error)),
    }
}

fn not_a_request(source: http::Error) -> Error {
    Error::invalid_input("this is not a valid HTTP request").with_source(source)
}

/// A random id, in the form that .NET writes.
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
