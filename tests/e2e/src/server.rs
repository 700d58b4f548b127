//! Servers that a trial starts: proxies between a provider and an emulator, and doubles.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use isobar::{Body, Error, ErrorKind, Result};
use tokio::net::TcpListener;

/// A server of a trial.
#[async_trait::async_trait]
pub(crate) trait Respond: Send + Sync + 'static {
    /// The response to a request, whose body has been read.
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>>;
}

/// Serves on a free port of the loopback as long as the trial's runtime lives. `new` makes the server of its URL,
/// which has no slash at the end. The response to a request that fails is 502.
pub(crate) async fn start<S: Respond>(new: impl FnOnce(String) -> S) -> Result<Arc<S>> {
    let (listener, url) = listen().await?;
    let server = Arc::new(new(url));
    let routes =
        Router::new().fallback(respond::<S>).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(server)
}

/// A free port of the loopback, and its URL without a slash at the end.
pub(crate) async fn listen() -> Result<(TcpListener, String)> {
    let failed = |error| Error::internal("no port is free").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    Ok((listener, url))
}

async fn respond<S: Respond>(State(server): State<Arc<S>>, request: Request<axum::body::Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let response = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => server.respond(parts, body).await,
        Err(error) => Err(Error::invalid_input("the connection closed within the request").with_source(error)),
    };
    response.unwrap_or_else(|error| response_of(StatusCode::BAD_GATEWAY, format!("{error:?}")))
}

/// A response without headers.
pub(crate) fn response_of(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

/// Sends a request unchanged to an emulator. The response streams.
pub(crate) async fn forward(to: &str, parts: &Parts, body: Bytes) -> Result<Response<Body>> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(&parts.method).uri(format!("{to}{path}"));
    let hops = [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT];
    for (name, value) in parts.headers.iter().filter(|(name, _)| !hops.contains(name)) {
        request = request.header(name, value);
    }
    // The service requires the length of an empty body, and the client leaves it out.
    if body.is_empty() && parts.method == Method::PUT && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        request = request.header(header::CONTENT_LENGTH, "0");
    }
    let request = request.body(Body::from(body)).map_err(not_a_request)?;
    let client: Client<HttpConnector, Body> = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let unreachable = |error| Error::new(ErrorKind::Unavailable, "the emulator does not answer").with_source(error);
    let (mut head, body) = client.request(request).await.map_err(unreachable)?.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers.remove(header::CONNECTION);
    Ok(Response::from_parts(head, Body::new(body)))
}

pub(crate) fn not_a_request(error: impl Into<http::Error>) -> Error {
    Error::invalid_input("not a request").with_source(error.into())
}
