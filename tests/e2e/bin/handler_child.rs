//! A custom handler of no app: it answers by the name of the function, well or ill, to try the stand-in of
//! the Functions host with.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use isobar::BoxError;

const WHOLE: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

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
    let routes = Router::new().route("/", get(who_asks)).fallback(called);
    axum::serve(listener, routes).await.map_err(BoxError::from)
}

/// The host's probe has no header of its own.
async fn who_asks(headers: HeaderMap) -> &'static str {
    let probe = !headers.contains_key(header::USER_AGENT) && !headers.contains_key("x-ms-invocation-id");
    if probe { "probe" } else { "user" }
}

async fn called(uri: Uri, _: Bytes) -> Response {
    let json = |status: StatusCode, body: &'static str| {
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    match uri.path().trim_start_matches('/').split('-').next() {
        Some("exit") => std::process::exit(0),
        Some("again") => std::process::exit(200),
        Some("crash") => std::process::exit(7),
        Some("slow") => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            json(StatusCode::OK, WHOLE)
        }
        Some("whole") => json(StatusCode::OK, WHOLE),
        Some("null") => json(StatusCode::OK, "null"),
        Some("empty") => json(StatusCode::OK, ""),
        Some("text") => WHOLE.into_response(),
        Some("fails") => json(StatusCode::INTERNAL_SERVER_ERROR, WHOLE),
        _ => json(StatusCode::OK, "{}"),
    }
}
