//! The HTTP API.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use azure_core::http::StatusCode as AzureStatus;
use serde::Deserialize;
use serde_json::json;

use crate::links::Link;
use crate::{Error, Shortener};

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
    Ok(Redirect::temporary(&link.url).into_response())
}

pub async fn stats(State(app): State<Shortener>, Path(id): Path<String>) -> Result<Response, Failed> {
    Ok(match app.links.clicks(&id).await? {
        Some(clicks) => Json(json!({ "clicks": clicks })).into_response(),
        None => unknown_link(),
    })
}

pub async fn index(State(app): State<Shortener>) -> Result<Response, Failed> {
    match app.pages.blob_client("index.html").download(None).await {
        Ok(page) => {
            let content_type = page.properties.content_type.clone().unwrap_or_default();
            Ok(([(CONTENT_TYPE, content_type)], page.body.collect().await?).into_response())
        }
        Err(error) if error.http_status() == Some(AzureStatus::NotFound) => Ok(not_found("there is no index yet")),
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
