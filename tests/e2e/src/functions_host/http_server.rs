//! HTTP from the outside: routes, keys, and the three ways to the handler.

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
    let answer = move |request: Request| {
        let core = Arc::clone(&core);
        async move { core.outside(request).await }
    };
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, answer.into_make_service()).await;
    });
    Ok((address, serving))
}

impl Core {
    async fn outside(&self, request: Request) -> Response {
        let Some(trigger) = self.route(&request) else { return StatusCode::NOT_FOUND.into_response() };
        if trigger.text("authLevel") != Some("anonymous") && !has_key(&request) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if self.process.ready().await.is_err() {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let answered = match self.mode {
            Mode::Proxying if trigger.bindings == 2 => self.proxied(request).await,
            Mode::Forwarding if trigger.bindings == 2 => self.forwarded(request).await,
            _ => self.as_json(trigger, request).await,
        };
        answered.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
    }

    /// A literal route goes before one that takes all.
    fn route(&self, request: &Request) -> Option<Trigger<'_>> {
        let files = &self.app.files;
        let prefix = files.host["extensions"]["http"]["routePrefix"].as_str().unwrap_or("api");
        let path = request.uri().path().trim_matches('/');
        let rest = if prefix.is_empty() { path } else { path.strip_prefix(prefix)?.trim_start_matches('/') };
        let fits = |trigger: &Trigger<'_>, all: bool| {
            let route = trigger.text("route").unwrap_or(trigger.function);
            let method =
                |method: &Value| method.as_str().is_some_and(|it| it.eq_ignore_ascii_case(request.method().as_str()));
            let methods = trigger.binding["methods"].as_array().is_none_or(|methods| methods.iter().any(method));
            let route = if all { route.starts_with("{*") } else { route.eq_ignore_ascii_case(rest) };
            trigger.text("type") == Some("httpTrigger") && methods && route
        };
        files.triggers().find(|it| fits(it, false)).or_else(|| files.triggers().find(|it| fits(it, true)))
    }

    /// By YARP: as it came, both ways a stream, and with the id of the invocation.
    async fn proxied(&self, request: Request) -> Result<Response> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("http://{}{path}", self.process.address()).parse().map_err(no_uri)?;
        let id = new_id().parse().map_err(|_| Error::internal("no header"))?;
        parts.headers.insert("x-ms-invocation-id", id);
        parts.headers.remove("connection");
        let answered = self.client.request(Request::from_parts(parts, body)).await;
        let response = answered.map_err(|error| Error::internal("the handler broke off").with_source(error))?;
        Ok(response.map(Body::new).into_response())
    }

    /// Built anew: a body without a length is lost.
    async fn forwarded(&self, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut forwarded = Self::invocation(parts.method.as_str(), format!("http://{}{path}", self.process.address()));
        for (name, value) in
            parts.headers.iter().filter(|(name, _)| *name != "connection" && *name != "transfer-encoding")
        {
            forwarded = forwarded.header(name, value);
        }
        let has_length = parts.headers.get("content-length").is_some_and(|length| length != "0");
        let body = if has_length { whole(body).await? } else { Bytes::new() };
        let response = self.exchange(forwarded.body(Body::from(body)).map_err(super::not_a_request)?).await?;
        Ok(response.map(Body::from))
    }

    async fn as_json(&self, trigger: Trigger<'_>, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let answer = self.call(&trigger.http(&parts, &whole(body).await?)).await?;
        output(&answer).map(|response| response.map(Body::from))
    }
}

/// The response that an answer's output binding `res` says. Errors: `InvalidInput` where it is none.
pub fn output(answer: &Value) -> Result<http::Response<Bytes>> {
    let told = &answer["Outputs"]["res"];
    let status = told["statusCode"].as_str().unwrap_or("200");
    let mut response = http::Response::builder().status(status);
    for (name, value) in told["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let body = match &told["body"] {
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

async fn whole(body: Body) -> Result<Bytes> {
    let read = body.collect().await;
    read.map(http_body_util::Collected::to_bytes)
        .map_err(|error| Error::internal("the request broke off").with_source(error))
}

fn no_uri(source: http::uri::InvalidUri) -> Error {
    Error::invalid_input("not a URI").with_source(source)
}
