#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

/// A handler of a few lines of Python, which answers by the name of the function.
const HANDLER: &str = r#"#!/usr/bin/python3
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_GET(self):
        probe = "User-Agent" not in self.headers and "x-ms-invocation-id" not in self.headers
        self.answer(200, b"probe" if probe else b"user", "text/plain")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        for word, code in (("exit", 0), ("again", 200), ("crash", 7)):
            if self.path.startswith("/" + word): os._exit(code)
        if self.path.startswith("/slow"): time.sleep(60)
        told = {"/null": b"null", "/empty": b"", "/whole": b'{"Outputs":{},"Logs":[],"ReturnValue":null}'}
        kind = "text/plain" if self.path.startswith("/text") else "application/json"
        self.answer(500 if self.path.startswith("/fails") else 200, told.get(self.path.split("-")[0], b"{}"), kind)
    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
assert os.environ["FUNCTIONS_HTTPWORKER_PORT"] == os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"]
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
"#;

async fn host(folder: &tempfile::TempDir) -> FunctionsHost {
    let executable = folder.path().join("handler");
    std::fs::write(&executable, HANDLER).unwrap();
    std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
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
    FunctionsHost::start(FunctionApp { executable, host, functions, settings: Vec::new() }).await.unwrap()
}

async fn fire(host: &FunctionsHost, word: &str) -> Result<()> {
    host.timer(word, "2026-01-01T03:00:00Z").await
}

#[tokio::test]
async fn what_an_answer_means_to_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder).await;
    fire(&host, "whole").await.unwrap();
    for (word, told) in
        [("null", "empty answer"), ("empty", "empty answer"), ("text", "MediaTypeFormatter"), ("fails", "500")]
    {
        let error = fire(&host, word).await.unwrap_err();
        assert!(error.message().contains(told), "{word}: {error}");
    }
    let user = http::Request::get(format!("http://{}/", host.address())).body(Body::empty()).unwrap();
    assert_eq!(host.core.exchange(user).await.unwrap().into_body(), "user");
    assert_eq!((host.state(), host.starts()), (State::Running, 1));
}

#[tokio::test]
async fn a_timeout_kills_and_restarts_the_handler() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder).await;
    assert_eq!(fire(&host, "slow").await.unwrap_err().kind(), ErrorKind::Timeout);
    fire(&host, "whole").await.unwrap();
    assert_eq!(host.starts(), 2);
}

#[tokio::test]
async fn the_code_that_a_handler_ends_with_decides_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder).await;
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
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder).await;
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
