//! HTTP from the outside: routes, keys, and the three ways to the handler.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use isobar::{Body, Error, Result};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Core, KEY, Mode, new_id};

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
        let Some((name, function)) = self.route(&request) else { return StatusCode::NOT_FOUND.into_response() };
        let trigger = Self::trigger(function);
        if trigger["authLevel"] != "anonymous" && !has_key(&request) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if self.process.ready().await.is_err() {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let in_and_out = function["bindings"].as_array().is_some_and(|bindings| bindings.len() == 2);
        let answered = match self.mode {
            Mode::Proxying if in_and_out => self.proxied(request).await,
            Mode::Forwarding if in_and_out => self.forwarded(request).await,
            _ => self.as_json(name, function, request).await,
        };
        answered.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
    }

    /// A literal route goes before one that takes all.
    fn route(&self, request: &Request) -> Option<(&str, &Value)> {
        let prefix = self.app.host["extensions"]["http"]["routePrefix"].as_str().unwrap_or("api");
        let path = request.uri().path().trim_matches('/');
        let rest = if prefix.is_empty() { path } else { path.strip_prefix(prefix)?.trim_start_matches('/') };
        let fits = |(name, function): &&(String, Value), all: bool| {
            let trigger = Self::trigger(function);
            let route = trigger["route"].as_str().unwrap_or(name);
            let method =
                |method: &Value| method.as_str().is_some_and(|it| it.eq_ignore_ascii_case(request.method().as_str()));
            let methods = trigger["methods"].as_array().is_none_or(|methods| methods.iter().any(method));
            let route = if all { route.starts_with("{*") } else { route.eq_ignore_ascii_case(rest) };
            trigger["type"] == "httpTrigger" && methods && route
        };
        let functions = || self.app.functions.iter();
        let found = functions().find(|it| fits(it, false)).or_else(|| functions().find(|it| fits(it, true)));
        found.map(|(name, function)| (name.as_str(), function))
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

    async fn as_json(&self, name: &str, function: &Value, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers: Map<String, Value> = Map::new();
        for (name, value) in &parts.headers {
            let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
            values
                .as_array_mut()
                .into_iter()
                .for_each(|all| all.push(json!(String::from_utf8_lossy(value.as_bytes()))));
        }
        let mut told = json!({
            "Url": format!("http://{host}{path}"), "Method": parts.method.as_str(), "Query": {}, "Headers": headers,
            "Params": {}, "Identities": [],
        });
        let body = whole(body).await?;
        if !body.is_empty() {
            let kind = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let binary = kind.starts_with("application/octet-stream") || kind.starts_with("multipart/");
            let text = || String::from_utf8_lossy(&body).into_owned();
            told["Body"] = json!(if binary { BASE64_STANDARD.encode(&body) } else { text() });
        }
        let binding = Self::trigger(function)["name"].as_str().unwrap_or("req");
        let metadata = json!({"Headers": told["Headers"], "Query": {}, "sys": {"MethodName": name}});
        let answer = self.call(name, &json!({"Data": {binding: told}, "Metadata": metadata})).await?;
        output(&answer["Outputs"]["res"])
    }
}

/// What the output binding `res` says.
fn output(told: &Value) -> Result<Response> {
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
    response.body(Body::from(body)).map_err(super::not_a_request)
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
    Error::invalid("not a URI").with_source(source)
}
