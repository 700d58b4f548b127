//! What a stage asks, and what it keeps.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use serde_json::{Value, json};

/// An API that answers with the token that it was sent, or 401 for an old one.
async fn api() -> String {
    let echo = async |headers: HeaderMap| match headers["authorization"].to_str().unwrap() {
        "Bearer old" => Err(StatusCode::UNAUTHORIZED),
        token => Ok(axum::Json(json!({ "asked-with": token }))),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", get(echo))).await.unwrap() });
    format!("http://{at}/")
}

#[tokio::test]
async fn each_tick_keeps_an_answer_and_a_rotated_token_is_used() -> Result<()> {
    let provider = MemoryProvider::default();
    provider.set_config("settings", &json!({ "api": api().await }).to_string());
    provider.set_secret("api-token", "old");
    let c = TestClient::on(provider.clone(), cron::app)?;
    assert!(c.tick("poll").await.is_err());
    provider.set_secret("api-token", "new");
    c.advance(Duration::from_secs(300));
    c.tick("poll").await?;
    let answers = c.cloud().table::<Value>("seen").query("poll").page().await?.items;
    assert_eq!((answers.len(), &answers[0].value), (1, &json!({ "asked-with": "Bearer new" })));
    Ok(())
}

#[test]
fn what_is_missing_is_listed_at_the_start() {
    let error = TestClient::new(cron::app).unwrap_err().to_string();
    assert!(error.contains("config `settings`") && error.contains("secret `api-token`"), "{error}");
}
