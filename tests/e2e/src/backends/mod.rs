//! The backends that this repository tests.

mod aging;
pub mod aws;
pub mod azure;
pub mod gcp;
mod held;
pub mod laptop;
pub mod local;

mod provisioned;
pub mod service;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use isobar::{Body, Error, ErrorKind, Result, TestResponse};
use isobar_conformance::{Suite, trials};
use serde_json::Value;

/// All trials. The harnesses of this repository lack nothing, and must not lose a trial unnoticed.
pub fn suite() -> Suite {
    Suite::new(trials::all()).with_allowed_lacks(&[])
}

/// Something of ours that does the work of a service or a platform, since no emulator of others does this part.
#[derive(Debug)]
pub struct Double {
    /// What it stands for.
    pub name: &'static str,
    /// What only it can run: rows, trials, checks of the end-to-end and interop targets, or an adapter's tests.
    pub only: &'static [&'static str],
}

/// Sends a request by a client that is not under test.
pub async fn send(request: Request<Body>) -> Result<TestResponse> {
    let client: Client<HttpConnector, Body> = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let unreachable = |error| Error::new(ErrorKind::Unavailable, "the server does not answer").with_source(error);
    let (parts, body) = client.request(request).await.map_err(unreachable)?.into_parts();
    let body = body.collect().await.map_err(|error| Error::internal("the answer broke off").with_source(error))?;
    Ok(TestResponse::new(parts.status, parts.headers, body.to_bytes()))
}

pub(crate) async fn whole(response: Response<Body>) -> Result<Response<Bytes>> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(broken)?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

pub(crate) fn broken(error: isobar::axum::Error) -> Error {
    Error::internal("the answer broke off").with_source(error)
}

/// The error that the handler tells.
pub(crate) fn told_error(body: &[u8]) -> Error {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let whole = String::from_utf8_lossy(body);
    let message = told["errorMessage"].as_str().unwrap_or(&whole);
    let kind = kind_named(&told["errorType"]);
    // The handler tells it as it is displayed, which ends with the kind.
    Error::new(kind, message.strip_suffix(&format!(" ({})", kind.name())).unwrap_or(message))
}

/// The kind of error of this name; `Internal` of any other.
pub(crate) fn kind_named(name: &Value) -> ErrorKind {
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::InvalidInput,
        ErrorKind::TooLarge,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::Throttled,
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Unsupported,
        ErrorKind::Config,
    ];
    kinds.into_iter().find(|kind| *name == kind.name()).unwrap_or(ErrorKind::Internal)
}
