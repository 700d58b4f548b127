//! A Lambda function that receives SIGTERM while it handles an event responds first, and then exits with 0.
//!
//! The function is a process that is started as Lambda starts it; its runtime API is a double.
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

/// A double of Lambda's runtime API, with the calls that it received.
#[derive(Clone, Default)]
struct RuntimeApi {
    has_sent_event: Arc<AtomicBool>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
}

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:stopped";

/// Returns one event; a second request waits for ever.
async fn next(State(api): State<RuntimeApi>) -> impl IntoResponse {
    if api.has_sent_event.swap(true, Ordering::SeqCst) {
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

async fn record(State(api): State<RuntimeApi>, Path((id, kind)): Path<(String, String)>, body: String) -> StatusCode {
    api.calls.lock().push((format!("{id}/{kind}"), body));
    StatusCode::ACCEPTED
}

async fn serve(api: RuntimeApi) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(record))
        .with_state(api);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[tokio::test]
#[cfg_attr(not(unix), ignore = "Lambda's signal is one of Unix")]
async fn a_function_that_is_stopped_responds_first_and_exits_with_0() {
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
    let calls = api.calls.lock().clone();
    let [(path, response)] = &calls[..] else { panic!("not one call: {calls:?}") };
    assert_eq!(path, "req-1/response");
    let response: Value = serde_json::from_str(response).unwrap();
    assert_eq!(response["invocation"], "req-1");
    assert!((30..60).contains(&response["left"].as_u64().unwrap()), "{response}");
}
