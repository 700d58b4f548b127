//! The backends that this repository tests.

pub mod account;
mod aging;
pub mod aws;
pub mod azure;
pub mod cloud;
mod dead_letters;
pub mod gcp;
mod hidden;
pub mod laptop;
pub mod local;
mod pause;
mod provisioned;
pub mod service;
pub mod stages;
mod wait;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use isobar::driver::Environment;
use isobar::{Body, Error, ErrorKind, Result, TestResponse};
use isobar_conformance::{Suite, trials};
use serde_json::Value;

use crate::server::not_a_request;

/// All trials. The harnesses of this repository lack nothing, and must not lose a trial unnoticed.
pub fn suite() -> Suite {
    Suite::new(trials::all()).with_allowed_lacks(&[])
}

/// A program of isobar's that does the work of a service or a platform, since no emulator does this part.
#[derive(Debug)]
pub struct Double {
    /// What it replaces.
    pub name: &'static str,
    /// What runs on it alone: rows, trials, checks of the end-to-end and interop targets, or an adapter's tests.
    pub only: &'static [&'static str],
}

/// Sends a request by a client that is not under test.
pub async fn send(request: Request<Body>) -> Result<TestResponse> {
    let client: Client<HttpConnector, Body> = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let unreachable = |error| Error::new(ErrorKind::Unavailable, "the server does not answer").with_source(error);
    let (parts, body) = client.request(request).await.map_err(unreachable)?.into_parts();
    let body = body.collect().await.map_err(|error| Error::internal(TRUNCATED).with_source(error))?;
    Ok(TestResponse::new(parts.status, parts.headers, body.to_bytes()))
}

/// Sends a request to a server, whatever the request's own host is.
pub async fn send_to(server: &str, request: Request<Body>) -> Result<TestResponse> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{server}{path}").parse().map_err(not_a_request)?;
    send(Request::from_parts(parts, body)).await
}

const TRUNCATED: &str = "the connection closed within the response";

/// The variables of a process: those of an environment, and further ones.
pub(crate) fn variables(environment: &Environment, further: BTreeMap<String, String>) -> Vec<(String, String)> {
    let own = environment.vars_with_prefix("").map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.chain(further).collect()
}

/// Reads a response whole.
pub(crate) async fn read(response: Response<Body>) -> Result<TestResponse> {
    let (parts, body) = response.into_parts();
    Ok(TestResponse::new(parts.status, parts.headers, read_body(body).await?))
}

/// Reads a body whole.
pub(crate) async fn read_body(body: Body) -> Result<Bytes> {
    let body = body.collect().await.map_err(|error| Error::internal(TRUNCATED).with_source(error))?;
    Ok(body.to_bytes())
}

/// The body of a response of this status. Errors: the one that the handler reports.
pub(crate) fn body_of(response: TestResponse, expected: StatusCode) -> Result<Bytes> {
    if response.status == expected { Ok(response.body) } else { Err(handler_error(&response.body)) }
}

/// The error that a handler reports.
pub(crate) fn handler_error(body: &[u8]) -> Error {
    error_in(body, "errorType", "errorMessage")
}

/// The error whose kind and message are in these members of a JSON object.
pub(crate) fn error_in(body: &[u8], kind: &str, message: &str) -> Error {
    let reported: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let (kind, message) = (kind_named(&reported[kind]), reported[message].as_str().unwrap_or(&text));
    // A handler reports the error as it is displayed, which ends with the kind.
    Error::new(kind, message.strip_suffix(&format!(" ({})", kind.name())).unwrap_or(message))
}

/// The kind of error of this name; `Internal` of any other.
fn kind_named(name: &Value) -> ErrorKind {
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
