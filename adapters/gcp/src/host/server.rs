//! The HTTP server, on the port that Cloud Run sets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::driver::Hosted;
use isobar_abstraction::{Error, Result};
use isobar_serve::{Options, stop_signal};
use tokio::net::TcpListener;

use super::{CloudRunService, target};
use crate::profile::PROFILE;
use crate::{ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_SERVICE_ACCOUNT, State};

/// The grace period: less than the 10 s that Cloud Run leaves a service between SIGTERM and SIGKILL.
/// <https://docs.cloud.google.com/run/docs/container-contract#instance-shutdown>
const GRACE: Duration = Duration::from_secs(9);

/// Serves until the platform or a user stops the process; then running requests may end within 9 s.
/// Errors: `Config` if the port is in use.
pub(crate) async fn run(state: &Arc<State>, app: Hosted) -> Result<()> {
    let service = CloudRunService::new(Arc::clone(state), app);
    let settings = service.settings();
    let address = SocketAddr::from((settings.address(), settings.port));
    let in_use = |error| {
        Error::config(format!("cannot listen on {address}: free the port, or set PORT to another one"))
            .with_source(error)
    };
    let listener = TcpListener::bind(address).await.map_err(in_use)?;
    service.warn_of_missing_settings();
    service.serve(listener, stop_signal()).await;
    Ok(())
}

impl CloudRunService {
    /// Serves on this listener until `stop` ends; then running requests may end within 9 s.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let service = self.clone();
        let answer = move |request| {
            let service = service.clone();
            async move { service.handle(request).await }
        };
        isobar_serve::serve(listener, answer, Options::new(&PROFILE.limits).with_grace(GRACE), stop).await;
    }

    fn warn_of_missing_settings(&self) {
        let (settings, triggers) = (self.settings(), target::paths(&self.app.manifest));
        let closed = settings.audiences.is_empty() || settings.accounts.is_empty();
        if settings.emulated {
            tracing::warn!("Pub/Sub is emulated: triggers accept calls without a token, from this machine only");
        } else if closed && !triggers.is_empty() {
            let triggers = triggers.join(", ");
            tracing::error!(
                "{triggers} accept no calls: set {ISOBAR_EVENT_AUDIENCE} and {ISOBAR_EVENT_SERVICE_ACCOUNT} to those of \
                 the subscriptions, triggers and jobs"
            );
        }
    }
}
