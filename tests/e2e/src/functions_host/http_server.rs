//! The HTTP server for clients: routes, keys, and the three ways in which requests reach the handler.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use isobar::{Body, Error, Result};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::files::{Mode, Trigger};
use super::{Core, KEY, new_id};

pub(super) async fn serve(core: Arc<Core>) -> Result<(SocketAddr, JoinHandle<()>)> {
    let unbound = |source| Error::internal("no port is free").with_source(source);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    let handle = move |request: Request| {
        let core = Arc::clone(&core);
        async move { core.handle_request(request).await }
    };
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, handle.into_make_service()).await;
    });
    Ok((address, serving))
}

impl Core {
    async fn handle_request(&self, request: Request) -> Response {
        let Some(trigger) = self.route(&request) else { return StatusCode::NOT_FOUND.into_response() };
        if trigger.text("authLevel") != Some("anonymous") && !has_key(&request) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if self.process.ready().await.is_err() {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let response = match self.mode {
            Mode::Proxying if trigger.bindings == 2 => self.proxy(request).await,
            Mode::Forwarding if trigger.bindings == 2 => self.forward(request).await,
            _ => self.send_as_json(trigger, request).await,
        };
        response.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
    }

    /// The function for a request. A literal route precedes a catch-all route.
    fn route(&self, request: &Request) -> Option<Trigger<'_>> {
        let files = &self.app.files;
        let prefix = files.host["extensions"]["http"]["routePrefix"].as_str().unwrap_or("api");
        let path = request.uri().path().trim_matches('/');
        let rest = if prefix.is_empty() { path } else { path.strip_prefix(prefix)?.trim_start_matches('/') };
        let matches = |trigger: &Trigger<'_>, all: bool| {
            let route = trigger.text("route").unwrap_or(trigger.function);
            let method =
                |method: &Value| method.as_str().is_some_and(|it| it.eq_ignore_ascii_case(request.method().as_str()));
            let methods = trigger.binding["methods"].as_array().is_none_or(|methods| methods.iter().any(method));
            let route = if all { route.starts_with("{*") } else { route.eq_ignore_ascii_case(rest) };
            trigger.text("type") == Some("httpTrigger") && methods && route
        };
        files.triggers().find(|it| matches(it, false)).or_else(|| files.triggers().find(|it| matches(it, true)))
    }

    /// Sends a request as YARP does: unchanged except for the id of the invocation, with both bodies as streams.
    async fn proxy(&self, request: Request) -> Result<Response> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("http://{}{path}", self.process.address()).parse().map_err(invalid_uri)?;
        let id = new_id().parse().map_err(|_| Error::internal("the id is not a valid header value"))?;
        parts.headers.insert("x-ms-invocation-id", id);
        parts.headers.remove("connection");
        let response = self.client.request(Request::from_parts(parts, body)).await;
        let response =
            response.map_err(|error| Error::internal("the handler closed the connection").with_source(error))?;
        Ok(response.map(Body::new).into_response())
    }

    /// Sends a copy of a request. A body without a length is lost.
    async fn forward(&self, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut forwarded = Self::invocation(parts.method.as_str(), format!("http://{}{path}", self.process.address()));
        for (name, value) in
            parts.headers.iter().filter(|(name, _)| *name != "connection" && *name != "transfer-encoding")
        {
            forwarded = forwarded.header(name, value);
        }
        let has_length = parts.headers.get("content-length").is_some_and(|length| length != "0");
        let body = if has_length { read_body(body).await? } else { Bytes::new() };
        let response = self.exchange(forwarded.body(Body::from(body)).map_err(super::not_a_request)?).await?;
        Ok(response.map(Body::from))
    }

    async fn send_as_json(&self, trigger: Trigger<'_>, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let value = self.call(&trigger.http(&parts, &read_body(body).await?)).await?;
        output(&value).map(|response| response.map(Body::from))
    }
}

/// The response in the output binding `res` of a handler's value. Errors: `InvalidInput` if it is not one.
pub fn output(value: &Value) -> Result<http::Response<Bytes>> {
    let output = &value["Outputs"]["res"];
    let status = output["statusCode"].as_str().unwrap_or("200");
    let mut response = http::Response::builder().status(status);
    for (name, value) in output["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let body = match &output["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    response.body(Bytes::from(body)).map_err(super::not_a_request)
}

fn has_key(request: &Request) -> bool {
    let in_query =
        request.uri().query().unwrap_or_default().split('&').any(|pair| pair.strip_prefix("code=") == Some(KEY));
    in_query || request.headers().get("x-functions-key").is_some_and(|key| key == KEY)
}

async fn read_body(body: Body) -> Result<Bytes> {
    let read = body.collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|error| Error::internal("the request ended early").with_source(error))
}

fn invalid_uri(source: http::uri::InvalidUri) -> Error {
    Error::invalid_input("this is not a valid URI").with_source(source)
}
