//! The backends that this repository tests.

pub mod aws;
pub mod azure;
pub mod deployed;
pub mod gcp;
pub mod local;
pub mod memory;

use http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use isobar::{Body, Error, ErrorKind, Result, TestResponse};

/// Sends a request by a client that is not under test.
async fn send(request: Request<Body>) -> Result<TestResponse> {
    let client: Client<HttpConnector, Body> = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let unreachable = |error| Error::new(ErrorKind::Unavailable, "the server does not answer").with_source(error);
    let (parts, body) = client.request(request).await.map_err(unreachable)?.into_parts();
    let body = body.collect().await.map_err(|error| Error::internal("the answer broke off").with_source(error))?;
    Ok(TestResponse::new(parts.status, parts.headers, body.to_bytes()))
}
