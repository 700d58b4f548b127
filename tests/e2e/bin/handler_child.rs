//! A custom handler without an app, for tests of the double of the Functions host: the name of the function decides whether
//! its response is valid.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use isobar::BoxError;

const VALID: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(BoxError::from);
    match runtime.and_then(|runtime| runtime.block_on(serve())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn serve() -> Result<(), BoxError> {
    let port = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT")?;
    if std::env::var("FUNCTIONS_HTTPWORKER_PORT")? != port {
        return Err("the port has two values".into());
    }
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let routes = Router::new().route("/", get(identify_client)).fallback(invoke);
    axum::serve(listener, routes).await.map_err(BoxError::from)
}

/// The host's probe sends neither of these headers.
async fn identify_client(headers: HeaderMap) -> &'static str {
    let probe = !headers.contains_key(header::USER_AGENT) && !headers.contains_key("x-ms-invocation-id");
    if probe { "probe" } else { "user" }
}

async fn invoke(uri: Uri, _: Bytes) -> Response {
    let json = |status: StatusCode, body: &'static str| {
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    match uri.path().trim_start_matches('/').split('-').next() {
        Some("exit") => std::process::exit(0),
        Some("again") => std::process::exit(200),
        Some("crash") => std::process::exit(7),
        Some("slow") => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            json(StatusCode::OK, VALID)
        }
        Some("valid") => json(StatusCode::OK, VALID),
        Some("null") => json(StatusCode::OK, "null"),
        Some("empty") => json(StatusCode::OK, ""),
        Some("text") => VALID.into_response(),
        Some("fails") => json(StatusCode::INTERNAL_SERVER_ERROR, VALID),
        _ => json(StatusCode::OK, "{}"),
    }
}
