//! The server: axum's own, on the port that the Functions host asks at.

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::serve::ListenerExt;
use isobar_abstraction::{Error, Result};
use tokio::net::TcpListener;

use super::{CustomHandler, ISOBAR_TRIGGER_SECRET, called};

/// Runs until the platform, or a person, says stop; what has begun is answered first. The Functions
/// host itself kills without a word, and restarts what ended with an error.
///
/// Errors: `Config` where this is not Functions, and where the port is taken.
pub(crate) async fn run(handler: CustomHandler) -> Result<()> {
    let port = handler.settings.port.ok_or_else(elsewhere)?;
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let taken = |error| {
        Error::config(format!("cannot listen on {wanted}, which FUNCTIONS_CUSTOMHANDLER_PORT says")).with_source(error)
    };
    let listener = TcpListener::bind(wanted).await.map_err(taken)?;
    handler.warn_of_missing_secret();
    // A part of a body that streams is not to wait for the next one.
    let listener = listener.tap_io(|io| drop(io.set_nodelay(true)));
    let answer = move |request: Request| {
        let handler = handler.clone();
        async move { handler.handle(request).await }
    };
    let served = axum::serve(listener, answer.into_make_service()).with_graceful_shutdown(signal()).await;
    served.map_err(|error| Error::internal("the server ended by itself").with_source(error))
}

impl CustomHandler {
    fn warn_of_missing_secret(&self) {
        let triggers: Vec<_> =
            called::names(&self.app.manifest).into_iter().filter(|function| function != "http").collect();
        if self.settings.secret.is_none() && !triggers.is_empty() {
            let triggers = triggers.join(", ");
            tracing::error!(
                "{triggers} will never run: set the app setting {ISOBAR_TRIGGER_SECRET} to the secret that the names \
                 of the functions were made with"
            );
        }
    }
}

fn elsewhere() -> Error {
    Error::config(
        "the provider `azure` runs on Azure Functions, and FUNCTIONS_CUSTOMHANDLER_PORT is not set; on a laptop, build \
         with the feature `local` and leave out ISOBAR_PROVIDER, or run it below `func start`",
    )
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
