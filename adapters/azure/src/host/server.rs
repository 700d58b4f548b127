//! The server, on the port that the Functions host connects to.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use isobar_abstraction::{Error, Result};
use isobar_serve::{Options, stop_signal};
use tokio::net::TcpListener;

use super::{CustomHandler, called};
use crate::ISOBAR_TRIGGER_SECRET;
use crate::profile::PROFILE;

/// The time for running invocations to finish after SIGTERM, before the platform sends SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

/// Runs until the platform or a person stops the process; running invocations finish first. The Functions host itself
/// kills the process without a signal, and restarts it after an exit with an error.
///
/// Errors: `Config` outside of Functions, and where the port is in use.
pub(crate) async fn run(handler: CustomHandler) -> Result<()> {
    let port = handler.settings.port.ok_or_else(elsewhere)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let in_use = |error| {
        let message = format!("cannot listen on {address}, the port in FUNCTIONS_CUSTOMHANDLER_PORT");
        Error::config(message).with_source(error)
    };
    let listener = TcpListener::bind(address).await.map_err(in_use)?;
    handler.warn_of_missing_secret();
    let answer = move |request| {
        let handler = handler.clone();
        async move { handler.handle(request).await }
    };
    isobar_serve::serve(listener, answer, Options::new(&PROFILE.limits).with_grace(GRACE), stop_signal()).await;
    Ok(())
}

impl CustomHandler {
    fn warn_of_missing_secret(&self) {
        let triggers: Vec<_> =
            called::names(&self.app.manifest).into_iter().filter(|function| function != "http").collect();
        if self.settings.secret.is_none() && !triggers.is_empty() {
            let triggers = triggers.join(", ");
            tracing::error!(
                "{triggers} will never run: set the app setting {ISOBAR_TRIGGER_SECRET} to the secret in the names of \
                 the functions"
            );
        }
    }
}

fn elsewhere() -> Error {
    Error::config(
        "the provider `azure` runs on Azure Functions, and FUNCTIONS_CUSTOMHANDLER_PORT is not set; on a laptop, build \
         with the feature `local` and leave out ISOBAR_PROVIDER, or run it with `func start`",
    )
}
