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

/// A service error of our own, in the form of the service's: a status and what is wrong.
pub(crate) type Refused = (u16, String);

/// The account, which a client sees as one place.
#[derive(Clone)]
pub(crate) struct Server {
    emulator: Arc<InMemoryEmulatorHttpClient>,
    /// The region that writes, without a slash at the end.
    writes: Arc<str>,
    /// The region that reads.
    reads: Arc<str>,
    /// How much later that region sees a write. A read that shows by its token that it comes too early is refused
    /// after so long: the clock of a trial does not wait between the attempts of a client.
    lag: Duration,
    key: Arc<str>,
    /// Held alone by a patch with a condition, so that no write comes between the two.
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
                // A client that goes away is no failure of the server.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let answered = match body.collect().await {
            Ok(body) => self.pass(&parts, body.to_bytes()).await,
            Err(error) => Err((400, error.to_string())),
        };
        answered.unwrap_or_else(service_error)
    }

    async fn pass(&self, parts: &Parts, body: Bytes) -> Result<Response<Full<Bytes>>, Refused> {
        signature::check(parts, &self.key).map_err(|why| (401, why))?;
        let condition = if parts.method == "PATCH" { condition::of(&body) } else { None };
        let (_alone, _shared);
        if let Some(condition) = condition {
            _alone = self.patches.write().await;
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
        let answer = self.ask(&request).await?;
        let early = answer.headers().get("x-ms-substatus").is_some_and(|substatus| *substatus == *"1002");
        if early && answer.status() == StatusCode::NOT_FOUND {
            tokio::time::sleep(self.lag).await;
        }
        Ok(answer)
    }

    /// Of something in the region that writes.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Refused> {
        url(&self.writes, path)
    }

    /// What the emulator answers.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Response<Full<Bytes>>, Refused> {
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

fn url(region: &str, path: &str) -> Result<Url, Refused> {
    format!("{region}{path}").parse().map_err(|error| (400, format!("{path}: {error}")))
}

fn is_read(parts: &Parts) -> bool {
    parts.method == "GET" || parts.headers.contains_key("x-ms-documentdb-isquery")
}

/// Azure's library for Python ends some paths with a slash. The service takes it, the emulator does not.
fn path(parts: &Parts) -> &str {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if path.len() > 1 && !path.contains('?') { path.trim_end_matches('/') } else { path }
}

fn method(method: &hyper::Method) -> Result<Method, Refused> {
    Ok(match method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "HEAD" => Method::Head,
        other => return Err((405, format!("no method {other}"))),
    })
}

fn service_error((status, why): Refused) -> Response<Full<Bytes>> {
    let code = match status {
        401 => "Unauthorized",
        412 => "PreconditionFailed",
        _ => "BadRequest",
    };
    let body = json!({"code": code, "message": why}).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Text as it was before it was percent-encoded.
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
