//! The gate between the ports and the child: requests wait at it while there is none.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use isobar::Body;
use tokio::sync::watch;
use tokio::time::timeout;

use super::child::Addresses;

/// How long a request waits for a child. Many clients give up later than that.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// How long an idle connection to a child is kept: less than the 30 s after which the child closes it.
const IDLE: Duration = Duration::from_secs(10);

/// A child that serves. Each request has a reference until its response is sent.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) addresses: Addresses,
    pub(super) client: Client<HttpConnector, Body>,
    in_use: watch::Sender<()>,
}

#[derive(Debug, Clone)]
enum State {
    Starting,
    Failed(Arc<str>),
    Serving(Arc<Upstream>),
}

#[derive(Debug)]
pub(super) struct Gate(watch::Sender<State>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(State::Starting))
    }

    /// Lets requests through to a child.
    pub(super) fn open(&self, addresses: Addresses) {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .set_host(false)
            .build(connector);
        let in_use = watch::Sender::new(());
        self.0.send_replace(State::Serving(Arc::new(Upstream { addresses, client, in_use })));
    }

    /// Holds new requests, and waits until those in progress have ended, for at most this time.
    pub(super) async fn close(&self, longest: Duration) {
        if let State::Serving(upstream) = self.0.send_replace(State::Starting) {
            let mut in_use = upstream.in_use.subscribe();
            drop(upstream);
            let _ = timeout(longest, in_use.changed()).await;
        }
    }

    /// Whether this child was stopped for the next one.
    pub(super) fn has_replaced(&self, upstream: &Arc<Upstream>) -> bool {
        match &*self.0.borrow() {
            State::Starting => true,
            State::Serving(current) => !Arc::ptr_eq(current, upstream),
            State::Failed(_) => false,
        }
    }

    /// Answers requests with this reason from now on.
    pub(super) fn fail(&self, reason: &str) {
        self.0.send_replace(State::Failed(reason.into()));
    }

    /// The child, as soon as one serves. Errors: why there is none.
    pub(super) async fn upstream(&self) -> Result<Arc<Upstream>, String> {
        let mut states = self.0.subscribe();
        let known = timeout(LONGEST_WAIT, states.wait_for(|state| !matches!(state, State::Starting))).await;
        match known.map(|state| state.map(|state| state.clone())) {
            Ok(Ok(State::Serving(upstream))) => Ok(upstream),
            Ok(Ok(State::Failed(reason))) => Err(reason.to_string()),
            _ => Err("the app is still being built: send the request again later".to_owned()),
        }
    }
}
