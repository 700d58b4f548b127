//! The way of `apps/shortener` from an id to its link, written by hand for Cloud Run on the firestore crate.
//!
//! It makes the same call of Firestore for the same request, and is nothing else: links are not made, a click
//! is not published, and there are no triggers and no page. The crate knows one service of the three that the app uses.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use firestore::FirestoreDb;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

type Error = Box<dyn std::error::Error + Send + Sync>;

const COLLECTION: &str = "bench-links";

/// What is stored of a link.
#[derive(Deserialize)]
struct Link {
    url: String,
    /// In seconds since 1970. Firestore deletes it some time later.
    expires_at: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    let level = Targets::new().with_default(LevelFilter::INFO);
    tracing_subscriber::registry().with(lines.with_filter(level)).init();

    let firestore = FirestoreDb::new(std::env::var("GOOGLE_CLOUD_PROJECT")?).await?;
    let router = Router::new().route("/{id}", get(follow)).with_state(firestore);
    let port: u16 = std::env::var("PORT")?.parse()?;
    // On Cloud Run it would be 0.0.0.0; what is measured must not be reached from elsewhere.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // A client that goes away is no failure.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn follow(State(firestore): State<FirestoreDb>, Path(id): Path<String>) -> Response {
    let found = firestore.fluent().select().by_id_in(COLLECTION).obj::<Link>().one(format!("link-{id}")).await;
    match found {
        Ok(Some(link)) if link.expires_at.is_none_or(|end| end > now()) => {
            Redirect::temporary(&link.url).into_response()
        }
        Ok(_) => {
            let detail = json!({ "error": "not-found", "detail": "no such link; it may have expired" });
            (StatusCode::NOT_FOUND, Json(detail)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "internal" }))).into_response()
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
