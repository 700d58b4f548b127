//! The server: hyper, for HTTP/1.1 and, in clear text, HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use isobar_abstraction::{Body, Error, Hosted, Result};
use tokio::net::TcpListener;

use super::{CloudRunService, ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_SERVICE_ACCOUNT, called};
use crate::State;

/// Somewhat less than the 10 s that Cloud Run leaves a service between SIGTERM and SIGKILL.
/// <https://docs.cloud.google.com/run/docs/container-contract#instance-shutdown>
const GRACE: Duration = Duration::from_secs(9);

/// How long a client may take for the head of a request, and for its first request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves until the platform, or a person, says stop; what has begun may end for 9 s.
/// Errors: `Config` where the port is taken.
pub(crate) async fn run(state: &Arc<State>, app: Hosted) -> Result<()> {
    let service = CloudRunService::new(Arc::clone(state), app);
    let settings = service.settings();
    let wanted = SocketAddr::from((settings.address(), settings.port));
    let taken = |error| Error::config(format!("cannot listen on {wanted}, which PORT says")).with_source(error);
    let listener = TcpListener::bind(wanted).await.map_err(taken)?;
    service.warn_of_missing_settings();
    service.serve(listener, signal()).await;
    Ok(())
}

impl CloudRunService {
    /// Serves on this listener until `stop` ends; then what has begun may end for 9 s.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        builder.http2().timer(TokioTimer::new());
        let graceful = GracefulShutdown::new();
        let mut stop = pin!(stop);
        loop {
            let stream = match select(pin!(listener.accept()), &mut stop).await {
                Either::Left((Ok((stream, _)), _)) => stream,
                Either::Left((Err(error), _)) => {
                    // Too many open files, say: the connections that end make room.
                    tracing::error!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                Either::Right(_) => break,
            };
            // A part of a body that streams is not to wait for the next one.
            let _ = stream.set_nodelay(true);
            let (service, begun) = (self.clone(), Arc::new(AtomicBool::new(false)));
            let silent = silent(Arc::clone(&begun));
            let answer = service_fn(move |request: Request<Incoming>| {
                begun.store(true, Ordering::Relaxed);
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.handle(request.map(Body::new)).await) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), answer).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                match select(std::pin::pin!(connection), std::pin::pin!(silent)).await {
                    Either::Left((Err(error), _)) => tracing::debug!(error, "a connection broke off"),
                    Either::Left((Ok(()), _)) => {}
                    Either::Right(_) => tracing::debug!("a connection is cut that asked for nothing"),
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("not all ended within {} s; events that were being handled come again", GRACE.as_secs());
        }
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

/// Ends if no request has begun in time. Hyper itself bounds neither the wait for the first byte of a connection,
/// which says what version of HTTP it is, nor that for the first request of HTTP/2.
async fn silent(begun: Arc<AtomicBool>) {
    tokio::time::sleep(HEAD_TIMEOUT).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    select(pin!(tokio::signal::ctrl_c()), pin!(terminate.recv())).await;
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
