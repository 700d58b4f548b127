//! The shortener of `apps/shortener`, written by hand for Lambda on the official SDKs.
//!
//! It makes the same calls of the services for the same requests. Beside isobar's it does without
//! most checks of what a client sends, and knows one kind of HTTP event (API Gateway v2).

mod links;
mod web;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use aws_sdk_s3::primitives::ByteStream;
use axum::Router;
use axum::routing::{get, post};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use links::{Link, Links};

/// The clients and the names of what they reach.
#[derive(Clone)]
struct Shortener {
    links: Links,
    s3: aws_sdk_s3::Client,
    pages: String,
    sns: aws_sdk_sns::Client,
    clicks: String,
}

/// Somebody followed a link.
#[derive(Serialize, Deserialize)]
struct Click {
    id: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    let level = Targets::new().with_default(LevelFilter::INFO);
    tracing_subscriber::registry().with(lines.with_filter(level)).init();

    let config = aws_config::load_from_env().await;
    let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(config.endpoint_url().is_some());
    let app = Shortener {
        links: Links::new(aws_sdk_dynamodb::Client::new(&config), std::env::var("LINKS_TABLE")?),
        s3: aws_sdk_s3::Client::from_conf(s3.build()),
        pages: std::env::var("PAGES_BUCKET")?,
        sns: aws_sdk_sns::Client::new(&config),
        clicks: std::env::var("CLICKS_TOPIC_ARN")?,
    };
    let router = Router::new()
        .route("/", post(web::shorten))
        .route("/index.html", get(web::index))
        .route("/{id}", get(web::follow))
        .route("/{id}/stats", get(web::stats))
        .with_state(app.clone());
    lambda_runtime::run(service_fn(|event| answer(&app, &router, event))).await
}

/// One binary for every trigger: what an event is shows in its fields.
async fn answer(app: &Shortener, router: &Router, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let event = event.payload;
    if event.get("requestContext").is_some() {
        let response = web::serve(router.clone(), serde_json::from_value(event)?).await?;
        return Ok(serde_json::to_value(response)?);
    }
    if event.get("Records").is_some() {
        return Ok(serde_json::to_value(count_clicks(app, serde_json::from_value(event)?).await)?);
    }
    if event.get("detail-type").and_then(Value::as_str) == Some("Scheduled Event") {
        sweep(app).await?;
        return Ok(Value::Null);
    }
    let clicks = match event.get("id").and_then(Value::as_str) {
        None => app.links.all_clicks().await?,
        Some(id) => app.links.clicks(id).await?.ok_or_else(|| format!("no link has the id `{id}`"))?,
    };
    Ok(json!({ "clicks": clicks }))
}

/// Counts what came through the queue; what failed comes again.
async fn count_clicks(app: &Shortener, event: SqsEvent) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    for record in event.records {
        let id = record.message_id.unwrap_or_default();
        if let Err(error) = count(app, &id, record.body.as_deref().unwrap_or_default()).await {
            tracing::warn!(%error, message = id, "a click could not be counted");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            answer.batch_item_failures.push(failure);
        }
    }
    answer
}

async fn count(app: &Shortener, message: &str, body: &str) -> Result<(), Error> {
    let click: Click = serde_json::from_str(body)?;
    app.links.count(&click.id, message).await
}

/// Writes the page of the newest links.
async fn sweep(app: &Shortener) -> Result<(), Error> {
    let newest = app.links.newest(100).await?;
    let items: String = newest.iter().map(item).collect();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Newest links</title>\n\
         <h1>Newest links</h1>\n<ul>\n{items}</ul>\n</html>\n"
    );
    let put = app.s3.put_object().bucket(&app.pages).key("index.html").content_type("text/html");
    put.body(ByteStream::from(page.into_bytes())).send().await?;
    Ok(())
}

fn item((id, Link { url }): &(String, Link)) -> String {
    let url = url.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    format!("  <li><a href=\"{id}\">{id}</a> {url}</li>\n")
}
