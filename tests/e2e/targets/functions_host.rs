//! The stand-in of the Functions host does what Azure's does, as its source says: see `functions_host`.
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
    let named = |word: &str| {
        let binding = json!({"type": "timerTrigger", "name": "timer", "direction": "in", "schedule": "0 0 3 * * *"});
        (format!("{word}-secret"), json!({"bindings": [binding]}))
    };
    let words = ["whole", "null", "empty", "text", "fails", "slow", "exit", "again", "crash"];
    let mut functions: Vec<_> = words.into_iter().map(named).collect();
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
async fn what_an_answer_means_to_the_host() {
    let host = host().await;
    fire(&host, "whole").await.unwrap();
    for (word, told) in
        [("null", "empty answer"), ("empty", "empty answer"), ("text", "MediaTypeFormatter"), ("fails", "500")]
    {
        let error = fire(&host, word).await.unwrap_err();
        assert!(error.message().contains(told), "{word}: {error}");
    }
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let answer = client.get(format!("http://{}/", host.address()).parse().unwrap()).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "user");
    assert_eq!((host.state(), host.starts()), (State::Running, 1));
}

#[tokio::test]
async fn a_timeout_kills_and_restarts_the_handler() {
    let host = host().await;
    assert_eq!(fire(&host, "slow").await.unwrap_err().kind(), ErrorKind::Timeout);
    fire(&host, "whole").await.unwrap();
    assert_eq!(host.starts(), 2);
}

#[tokio::test]
async fn the_code_that_a_handler_ends_with_decides_what_comes_next() {
    let host = host().await;
    for crash in ["again", "crash", "crash"] {
        assert!(fire(&host, crash).await.is_err());
        until(&host, |host| host.starts() > 1 && host.state() == State::Running).await;
        fire(&host, "whole").await.unwrap();
    }
    assert!(fire(&host, "crash").await.is_err());
    until(&host, |host| host.state() == State::Stopped).await;
    assert!(fire(&host, "whole").await.is_err() && host.starts() == 4);
}

#[tokio::test]
async fn a_handler_that_ends_well_is_not_started_again() {
    let host = host().await;
    assert!(fire(&host, "exit").await.is_err());
    until(&host, |host| host.state() == State::Exited).await;
    assert!(fire(&host, "whole").await.is_err() && host.starts() == 1);
}

async fn until(host: &FunctionsHost, is: impl Fn(&FunctionsHost) -> bool) {
    for _ in 0..1_000 {
        // What broke off is noticed a little later.
        tokio::time::sleep(Duration::from_millis(10)).await;
        if is(host) {
            return;
        }
    }
    panic!("it stays {:?}", host.state());
}
