//! From HTTP on a socket to the emulator, and back.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::{HeaderName, HeaderValue};
use azure_core::http::{Method, Request, Url};
use azure_data_cosmos_driver::in_memory_emulator::InMemoryEmulatorHttpClient;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::RwLock;

use crate::{condition, signature};

/// An error of this server: a status, and the message of a body in the form of the service's.
pub(crate) type ServiceError = (u16, String);

/// The account, at one endpoint for all its regions.
#[derive(Clone)]
pub(crate) struct Server {
    emulator: Arc<InMemoryEmulatorHttpClient>,
    /// The URL of the region for writes, without a slash at the end.
    writes: Arc<str>,
    /// The URL of the region for reads.
    reads: Arc<str>,
    /// The delay after which the region for reads receives a write. A read whose token is newer than the region is
    /// rejected after this delay, since the clock of a trial does not wait between the attempts of a client.
    lag: Duration,
    key: Arc<str>,
    /// Locked for writing by a patch with a condition, so that no write happens between the check and the patch.
    patches: Arc<RwLock<()>>,
}

impl Server {
    pub(crate) fn new(
        emulator: Arc<InMemoryEmulatorHttpClient>,
        writes: &Url,
        reads: &Url,
        lag: Duration,
        key: &str,
    ) -> Self {
        let base = |region: &Url| region.as_str().trim_end_matches('/').into();
        Self { emulator, writes: base(writes), reads: base(reads), lag, key: key.into(), patches: Arc::default() }
    }

    pub(crate) async fn run(self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let server = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                // A client that disconnects is not an error of the server.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let response = match body.collect().await {
            Ok(body) => self.forward(&parts, body.to_bytes()).await,
            Err(error) => Err((400, error.to_string())),
        };
        response.unwrap_or_else(error_response)
    }

    async fn forward(&self, parts: &Parts, body: Bytes) -> Result<Response<Full<Bytes>>, ServiceError> {
        signature::check(parts, &self.key).map_err(|message| (401, message))?;
        let condition = if parts.method == "PATCH" { condition::of(&body) } else { None };
        let (_exclusive, _shared);
        if let Some(condition) = condition {
            _exclusive = self.patches.write().await;
            if !self.holds(parts, &condition).await? {
                return Err((412, "the condition of the patch is not met".to_owned()));
            }
        } else if parts.method != "GET" {
            _shared = self.patches.read().await;
        }
        let method = method(&parts.method)?;
        let region = if is_read(parts) { &self.reads } else { &self.writes };
        let mut request = Request::new(url(region, path(parts))?, method);
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            request.headers_mut().insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value));
        }
        request.set_body(body.to_vec());
        let response = self.execute(&request).await?;
        let is_early = response.headers().get("x-ms-substatus").is_some_and(|substatus| *substatus == *"1002");
        if is_early && response.status() == StatusCode::NOT_FOUND {
            tokio::time::sleep(self.lag).await;
        }
        Ok(response)
    }

    /// The URL of a path in the region for writes.
    pub(crate) fn url(&self, path: &str) -> Result<Url, ServiceError> {
        url(&self.writes, path)
    }

    /// The emulator's response to a request.
    pub(crate) async fn execute(&self, request: &Request) -> Result<Response<Full<Bytes>>, ServiceError> {
        let answer = self.emulator.execute_request(request).await.map_err(|error| (503, error.to_string()))?;
        let answer = answer.try_into_raw_response().await.map_err(|error| (500, error.to_string()))?;
        let mut response = Response::builder().status(u16::from(answer.status()));
        for (name, value) in answer.headers().iter() {
            response = response.header(name.as_str(), value.as_str());
        }
        let body: &[u8] = answer.body().as_ref();
        response.body(Full::new(Bytes::copy_from_slice(body))).map_err(|error| (500, error.to_string()))
    }
}

fn url(region: &str, path: &str) -> Result<Url, ServiceError> {
    format!("{region}{path}").parse().map_err(|error| (400, format!("{path}: {error}")))
}

fn is_read(parts: &Parts) -> bool {
    parts.method == "GET" || parts.headers.contains_key("x-ms-documentdb-isquery")
}

/// Azure's library for Python ends some paths with a slash, which the service accepts and the emulator does not.
fn path(parts: &Parts) -> &str {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if path.len() > 1 && !path.contains('?') { path.trim_end_matches('/') } else { path }
}

fn method(method: &hyper::Method) -> Result<Method, ServiceError> {
    Ok(match method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "HEAD" => Method::Head,
        other => return Err((405, format!("the method {other} is not supported"))),
    })
}

fn error_response((status, message): ServiceError) -> Response<Full<Bytes>> {
    let code = match status {
        401 => "Unauthorized",
        412 => "PreconditionFailed",
        _ => "BadRequest",
    };
    let body = json!({"code": code, "message": message}).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Undoes percent-encoding.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(&first) = rest.first() {
        let digits = rest.get(1..3).filter(|_| first == b'%').and_then(|it| std::str::from_utf8(it).ok());
        let byte = digits.and_then(|it| u8::from_str_radix(it, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = &rest[if byte.is_some() { 3 } else { 1 }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
