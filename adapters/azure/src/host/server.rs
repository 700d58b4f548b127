//! The server, on the port that the Functions host asks at.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use isobar_abstraction::{Error, Result};
use isobar_serve::{Options, stop_signal};
use tokio::net::TcpListener;

use super::{CustomHandler, called};
use crate::ISOBAR_TRIGGER_SECRET;
use crate::profile::PROFILE;

/// What runs may end for so long after SIGTERM; the platform sends SIGKILL when it waits no longer.
const GRACE: Duration = Duration::from_secs(30);

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
