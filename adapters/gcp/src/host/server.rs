//! The server, on the port that Cloud Run says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use isobar_abstraction::driver::Hosted;
use isobar_abstraction::{Error, Result};
use isobar_serve::{Options, stop_signal};
use tokio::net::TcpListener;

use super::{CloudRunService, called};
use crate::profile::PROFILE;
use crate::{ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_SERVICE_ACCOUNT, State};

/// Somewhat less than the 10 s that Cloud Run leaves a service between SIGTERM and SIGKILL.
/// <https://docs.cloud.google.com/run/docs/container-contract#instance-shutdown>
const GRACE: Duration = Duration::from_secs(9);

/// Serves until the platform, or a person, says stop; what has begun may end for 9 s.
/// Errors: `Config` where the port is taken.
pub(crate) async fn run(state: &Arc<State>, app: Hosted) -> Result<()> {
    let service = CloudRunService::new(Arc::clone(state), app);
    let settings = service.settings();
    let wanted = SocketAddr::from((settings.address(), settings.port));
    let taken = |error| Error::config(format!("cannot listen on {wanted}, which PORT says")).with_source(error);
    let listener = TcpListener::bind(wanted).await.map_err(taken)?;
    service.warn_of_missing_settings();
    service.serve(listener, stop_signal()).await;
    Ok(())
}

impl CloudRunService {
    /// Serves on this listener until `stop` ends; then what has begun may end for 9 s.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let service = self.clone();
        let answer = move |request| {
            let service = service.clone();
            async move { service.handle(request).await }
        };
        isobar_serve::serve(listener, answer, Options::new(&PROFILE.limits).with_grace(GRACE), stop).await;
    }

    fn warn_of_missing_settings(&self) {
        let (settings, triggers) = (self.settings(), called::paths(&self.app.manifest));
        let closed = settings.audiences.is_empty() || settings.accounts.is_empty();
        if settings.emulated {
            tracing::warn!("Pub/Sub is emulated: triggers take calls without a token, from this machine only");
        } else if closed && !triggers.is_empty() {
            let triggers = triggers.join(", ");
            tracing::error!(
                "{triggers} take no calls: set {ISOBAR_EVENT_AUDIENCE} and {ISOBAR_EVENT_SERVICE_ACCOUNT} to those of \
                 the subscriptions, triggers and jobs"
            );
        }
    }
}
