//! A Lambda function that is told to stop while it works answers first, and then ends well.
//!
//! The function is a process of its own, started as Lambda starts it; its runtime API is a double of ours.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::process::Command;

/// What Lambda's double has given out, and was told.
#[derive(Clone, Default)]
struct RuntimeApi {
    given: Arc<AtomicBool>,
    told: Arc<Mutex<Vec<(String, String)>>>,
}

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:stopped";

/// One event; who asks for another waits for ever.
async fn next(State(api): State<RuntimeApi>) -> impl IntoResponse {
    if api.given.swap(true, Ordering::SeqCst) {
        pending::<()>().await;
    }
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    let headers = [
        ("lambda-runtime-aws-request-id", "req-1".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", ARN.to_owned()),
    ];
    (headers, json!({"isobar": "invoke", "function": "stop", "payload": {}}).to_string())
}

async fn tell(State(api): State<RuntimeApi>, Path((id, what)): Path<(String, String)>, body: String) -> StatusCode {
    api.told.lock().push((format!("{id}/{what}"), body));
    StatusCode::ACCEPTED
}

async fn serve(api: RuntimeApi) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{what}", post(tell))
        .with_state(api);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[tokio::test]
#[cfg_attr(not(unix), ignore = "Lambda's signal is one of Unix")]
async fn who_is_told_to_stop_answers_first_and_then_ends_well() {
    let api = RuntimeApi::default();
    let address = serve(api.clone()).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_stopped-child"));
    child.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).kill_on_drop(true);
    for (name, value) in [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_LAMBDA_RUNTIME_API", &address),
        ("AWS_LAMBDA_FUNCTION_NAME", "stopped"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
    ] {
        child.env(name, value);
    }
    let ended = tokio::time::timeout(Duration::from_secs(30), child.output()).await.unwrap().unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
    let told = api.told.lock().clone();
    let [(what, answer)] = &told[..] else { panic!("not one answer: {told:?}") };
    assert_eq!(what, "req-1/response");
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["invocation"], "req-1");
    assert!((30..60).contains(&answer["left"].as_u64().unwrap()), "{answer}");
}
