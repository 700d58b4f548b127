//! Servers of a trial's own: proxies between a provider and an emulator, and doubles.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use isobar::{Body, Error, ErrorKind, Result};
use tokio::net::TcpListener;

/// What a server does with a request, whose body is there.
#[async_trait::async_trait]
pub(crate) trait Front: Send + Sync + 'static {
    async fn pass(&self, parts: Parts, body: Bytes) -> Result<Response<Body>>;
}

/// A free port of the loopback, and its URL without a slash at the end.
pub(crate) async fn listen() -> Result<(TcpListener, String)> {
    let failed = |error| Error::internal("no port is free").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    Ok((listener, url))
}

/// Serves as long as the trial's runtime lives. What fails is answered with 502.
pub(crate) fn serve<F: Front>(listener: TcpListener, front: Arc<F>) {
    let routes = Router::new().fallback(pass::<F>).layer(DefaultBodyLimit::disable()).with_state(front);
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

async fn pass<F: Front>(State(front): State<Arc<F>>, request: Request<axum::body::Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let passed = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => front.pass(parts, body).await,
        Err(error) => Err(Error::invalid_input("the request broke off").with_source(error)),
    };
    passed.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("{error:?}")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

/// Sends a request on as it came. The answer streams.
pub(crate) async fn forward(to: &str, parts: &Parts, body: Bytes) -> Result<Response<Body>> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(&parts.method).uri(format!("{to}{path}"));
    let hops = [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT];
    for (name, value) in parts.headers.iter().filter(|(name, _)| !hops.contains(name)) {
        request = request.header(name, value);
    }
    // The client leaves the length of an empty body out, which the service wants to know.
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

pub(crate) fn not_a_request(error: http::Error) -> Error {
    Error::invalid_input("not a request").with_source(error)
}
