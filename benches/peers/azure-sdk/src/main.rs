//! The shortener of `apps/shortener`, written by hand for Azure Functions on the official crates.
//!
//! It makes the same calls of the services for the same requests, but for one: no official crate for Service
//! Bus has been released, so a click is not published. Beside isobar's it does without most checks of what a
//! client sends, without identities (its accounts are reached by a key and by a URL with a signature), and
//! takes HTTP in the proxying mode only.

mod links;
mod web;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use azure_core::credentials::Secret;
use azure_core::http::RequestContent;
use azure_data_cosmos::{AccountEndpoint, AccountReference, CosmosClient, RoutingStrategy};
use azure_storage_blob::BlobContainerClient;
use azure_storage_blob::models::BlobClientUploadOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use links::{Link, Links};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The clients and the names of what they reach.
#[derive(Clone)]
struct Shortener {
    links: Links,
    pages: Arc<BlobContainerClient>,
    secret: Arc<str>,
}

/// Somebody followed a link.
#[derive(Serialize, Deserialize)]
struct Click {
    id: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    let level = Targets::new().with_default(LevelFilter::INFO);
    tracing_subscriber::registry().with(lines.with_filter(level)).init();

    let endpoint: AccountEndpoint = std::env::var("COSMOS_ENDPOINT")?.parse()?;
    let account = AccountReference::with_authentication_key(endpoint, Secret::from(std::env::var("COSMOS_KEY")?));
    let cosmos = CosmosClient::builder().build(account, RoutingStrategy::ProximityTo("East US".into())).await?;
    let database = cosmos.database_client(&std::env::var("COSMOS_DATABASE")?);
    let container = database.container_client(&std::env::var("LINKS_CONTAINER")?, None).await?;
    let pages = BlobContainerClient::new(std::env::var("PAGES_CONTAINER_URL")?.parse()?, None, None)?;
    let secret = std::env::var("TRIGGER_SECRET")?.into();
    let app = Shortener { links: Links::new(container), pages: Arc::new(pages), secret };

    // The probe of the Functions host is answered by the 405 of `/`.
    let router = Router::new()
        .route("/", post(web::shorten))
        .route("/index.html", get(web::index))
        .route("/{id}", get(web::follow).post(call))
        .route("/{id}/stats", get(web::stats))
        .with_state(app);
    let port: u16 = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, router).await?)
}

/// A trigger.
async fn call(State(app): State<Shortener>, Path(name): Path<String>, Json(call): Json<Value>) -> Response {
    let Some(function) = name.strip_suffix(&*app.secret) else { return StatusCode::NOT_FOUND.into_response() };
    let answered = match function {
        "topic-clicks-" => count(&app, &call).await,
        "schedule-sweep-" => sweep(&app).await,
        "invoke-stats-" => stats(&app, &call).await,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match answered {
        Ok(outputs) => Json(json!({"Outputs": outputs, "Logs": [], "ReturnValue": null})).into_response(),
        Err(error) => {
            tracing::error!(%error, function, "a trigger failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Counts what came through the topic; what failed comes again.
async fn count(app: &Shortener, call: &Value) -> Result<Value, Error> {
    let text = |value: &Value| Ok::<String, Error>(serde_json::from_str(value.as_str().ok_or("no string")?)?);
    let click: Click = serde_json::from_str(&text(&call["Data"]["message"])?)?;
    app.links.count(&click.id, &text(&call["Metadata"]["MessageId"])?).await?;
    Ok(json!({}))
}

async fn stats(app: &Shortener, call: &Value) -> Result<Value, Error> {
    let question: Value = serde_json::from_str(call["Data"]["req"]["Body"].as_str().unwrap_or("null"))?;
    let clicks = match question["id"].as_str() {
        None => app.links.all_clicks().await?,
        Some(id) => app.links.clicks(id).await?.ok_or_else(|| format!("no link has the id `{id}`"))?,
    };
    Ok(json!({"res": {"statusCode": "200", "body": json!({ "clicks": clicks }).to_string()}}))
}

/// Writes the page of the newest links.
async fn sweep(app: &Shortener) -> Result<Value, Error> {
    let newest = app.links.newest(100).await?;
    let items: String = newest.iter().map(item).collect();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Newest links</title>\n\
         <h1>Newest links</h1>\n<ul>\n{items}</ul>\n</html>\n"
    );
    let html = BlobClientUploadOptions { blob_content_type: Some("text/html".to_owned()), ..Default::default() };
    app.pages.blob_client("index.html").upload(RequestContent::from(page.into_bytes()), Some(html)).await?;
    Ok(json!({}))
}

fn item((id, Link { url }): &(String, Link)) -> String {
    let url = url.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!("  <li><a href=\"{id}\">{id}</a> {url}</li>\n")
}
