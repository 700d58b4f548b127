//! The double of the Functions host behaves like Azure's: see `functions_host`.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

use std::time::Duration;

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use isobar::{Body, ErrorKind, Result};
use isobar_e2e::functions_host::{Files, FunctionApp, FunctionsHost, State};
use serde_json::json;

async fn host() -> FunctionsHost {
    let executable = env!("CARGO_BIN_EXE_handler-child").into();
    let function = |word: &str| {
        let binding = json!({"type": "timerTrigger", "name": "timer", "direction": "in", "schedule": "0 0 3 * * *"});
        (format!("{word}-secret"), json!({"bindings": [binding]}))
    };
    let words = ["valid", "null", "empty", "text", "fails", "slow", "exit", "again", "crash"];
    let mut functions: Vec<_> = words.into_iter().map(function).collect();
    let route =
        json!({"type": "httpTrigger", "name": "req", "direction": "in", "authLevel": "anonymous", "route": "{*r}"});
    let bindings = json!({"bindings": [route, {"type": "http", "name": "res", "direction": "out"}]});
    functions.push(("http-secret".to_owned(), bindings));
    let host = json!({"version": "2.0", "functionTimeout": "00:00:01", "extensions": {"http": {"routePrefix": ""}},
        "customHandler": {"enableProxyingHttpRequest": true, "initializationTimeout": "00:00:20"}});
    let files = Files { host, functions };
    FunctionsHost::start(FunctionApp { executable, files, settings: Vec::new() }).await.unwrap()
}

async fn fire(host: &FunctionsHost, word: &str) -> Result<()> {
    host.call(&host.files().named(word)?.timer("2026-01-01T03:00:00Z")).await.map(drop)
}

#[tokio::test]
async fn the_host_accepts_valid_responses_only() {
    let host = host().await;
    fire(&host, "valid").await.unwrap();
    for (word, message) in
        [("null", "is empty"), ("empty", "is empty"), ("text", "MediaTypeFormatter"), ("fails", "500")]
    {
        let error = fire(&host, word).await.unwrap_err();
        assert!(error.message().contains(message), "{word}: {error}");
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let response = client.get(format!("http://{}/", host.address()).parse().unwrap()).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "user");
    assert_eq!((host.state(), host.starts()), (State::Running, 1));
}

#[tokio::test]
async fn a_timeout_kills_and_restarts_the_handler() {
    let host = host().await;
    assert_eq!(fire(&host, "slow").await.unwrap_err().kind(), ErrorKind::Timeout);
    fire(&host, "valid").await.unwrap();
    assert_eq!(host.starts(), 2);
}

#[tokio::test]
async fn the_exit_code_of_a_handler_decides_whether_it_is_restarted() {
    let host = host().await;
    for crash in ["again", "crash", "crash"] {
        assert!(fire(&host, crash).await.is_err());
        wait_until(&host, |host| host.starts() > 1 && host.state() == State::Running).await;
        fire(&host, "valid").await.unwrap();
    }
    assert!(fire(&host, "crash").await.is_err());
    wait_until(&host, |host| host.state() == State::Stopped).await;
    assert!(fire(&host, "valid").await.is_err() && host.starts() == 4);
}

#[tokio::test]
async fn a_handler_that_exits_with_0_is_not_restarted() {
    let host = host().await;
    assert!(fire(&host, "exit").await.is_err());
    wait_until(&host, |host| host.state() == State::Exited).await;
    assert!(fire(&host, "valid").await.is_err() && host.starts() == 1);
}

async fn wait_until(host: &FunctionsHost, is_so: impl Fn(&FunctionsHost) -> bool) {
    for _ in 0..1_000 {
        // The host notices the end of the process a little later.
        tokio::time::sleep(Duration::from_millis(10)).await;
        if is_so(host) {
            return;
        }
    }
    panic!("the state is still {:?}", host.state());
}
