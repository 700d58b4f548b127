//! Bare axum: answers the host's probe, and after parsing it each call with a constant.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new().route("/", get(async || ())).route("/{function}", post(call));
    let port: u16 = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn call(Json(call): Json<Value>) -> impl IntoResponse {
    // Else the compiler may leave out what nobody reads.
    std::hint::black_box(&call);
    ([(CONTENT_TYPE, "application/json")], r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#)
}
