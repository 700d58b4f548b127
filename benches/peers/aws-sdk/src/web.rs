//! The HTTP API, and API Gateway's events of it.

use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body as LambdaBody;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_runtime::Error;
use serde::Deserialize;
use serde_json::json;
use tower::ServiceExt;

use crate::links::Link;
use crate::{Click, Shortener};

/// Takes a request out of an event, and puts the response into an answer.
pub async fn serve(router: Router, event: ApiGatewayV2httpRequest) -> Result<ApiGatewayV2httpResponse, Error> {
    let mut uri = event.raw_path.unwrap_or_default();
    if let Some(query) = event.raw_query_string.filter(|query| !query.is_empty()) {
        uri = format!("{uri}?{query}");
    }
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded { BASE64_STANDARD.decode(body)? } else { body.into_bytes() };
    let mut request = Request::builder().method(event.request_context.http.method).uri(uri).body(Body::from(body))?;
    *request.headers_mut() = event.headers;
    let (parts, body) = router.oneshot(request).await?.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = parts.headers;
    match String::from_utf8(body.to_vec()) {
        Ok(text) => answer.body = Some(LambdaBody::Text(text)),
        Err(_) => {
            answer.is_base64_encoded = true;
            answer.body = Some(LambdaBody::Binary(body.to_vec()));
        }
    }
    Ok(answer)
}

/// A failed call is a 500, and told in the log.
pub struct Failed(Error);

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "a request failed");
        (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "internal" }))).into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    url: String,
    ttl_seconds: Option<u32>,
}

pub async fn shorten(State(app): State<Shortener>, headers: HeaderMap, body: Bytes) -> Result<Response, Failed> {
    let wish = match serde_json::from_slice::<Wish>(&body) {
        Ok(wish) if wish.url.starts_with("https://") || wish.url.starts_with("http://") => wish,
        Ok(_) => return Ok(refused("`url` must begin with http:// or https://")),
        Err(error) => return Ok(refused(&error.to_string())),
    };
    let ttl = wish.ttl_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let link = Link { url: wish.url };
    let id = app.links.create(&link, ttl).await?;
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let made = json!({ "id": id, "url": link.url, "short": format!("https://{host}/{id}") });
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

pub async fn follow(State(app): State<Shortener>, Path(id): Path<String>) -> Result<Response, Failed> {
    let Some(link) = app.links.find(&id).await? else { return Ok(unknown_link()) };
    let click = serde_json::to_string(&Click { id })?;
    // No visitor is turned away because a click cannot be counted.
    if let Err(error) = app.sns.publish().topic_arn(&app.clicks).message(click).send().await {
        tracing::warn!(%error, "a click is lost");
    }
    Ok(Redirect::temporary(&link.url).into_response())
}

pub async fn stats(State(app): State<Shortener>, Path(id): Path<String>) -> Result<Response, Failed> {
    Ok(match app.links.clicks(&id).await? {
        Some(clicks) => Json(json!({ "clicks": clicks })).into_response(),
        None => unknown_link(),
    })
}

pub async fn index(State(app): State<Shortener>) -> Result<Response, Failed> {
    match app.s3.get_object().bucket(&app.pages).key("index.html").send().await {
        Ok(page) => {
            let content_type = page.content_type.unwrap_or_default();
            Ok(([(CONTENT_TYPE, content_type)], page.body.collect().await?.into_bytes()).into_response())
        }
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
            Ok(not_found("there is no index yet"))
        }
        Err(error) => Err(error.into()),
    }
}

fn refused(detail: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid-input", "detail": detail }))).into_response()
}

fn unknown_link() -> Response {
    not_found("no such link; it may have expired")
}

fn not_found(detail: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": "not-found", "detail": detail }))).into_response()
}
