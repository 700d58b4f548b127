//! The host: an HTTP server, workers, a clock, and a graceful end.

mod announce;
mod entry;
mod inspect;
mod schedule;
mod signed;
#[cfg(test)]
mod tests;
mod worker;

use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use isobar_abstraction::driver::host::answer;
use isobar_abstraction::driver::{Clock, Function, Hosted, Provider};
use isobar_abstraction::{Error, Result};
use isobar_serve::{Options, stop_signal};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::profile::PROFILE;
use crate::pub_sub::Source;
use crate::state::State;
use crate::{blob, event, key_value};
use entry::{Entry, Shown};
use inspect::Inspector;
use signed::Signed;
use worker::Worker;

/// Expired items are deleted this often, and so many in one transaction.
const SWEEP: (Duration, usize) = (Duration::from_secs(60), 1_000);

/// An app that writes nothing sees so soon that its data folder is gone.
const WATCH: Duration = Duration::from_secs(5);

/// Once nothing can be stored, what runs has nothing to wait for.
const AFTER_THE_END: Duration = Duration::from_secs(1);

/// A server that has its port, and does not yet answer.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    provider: Arc<dyn Provider>,
    listener: TcpListener,
    address: SocketAddr,
    inspector: Option<Entry>,
}

/// The word to stop, which everybody who runs listens for.
#[derive(Debug, Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    async fn wait(&mut self) {
        // The sender lives as long as the server: without it, the word has been given.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

impl Server {
    /// Takes the ports of the provider's configuration. Errors: `Config` where one is in use.
    pub(crate) async fn bind(state: Arc<State>, provider: Arc<dyn Provider>) -> Result<Self> {
        let config = &state.config;
        let wanted = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(wanted).await.map_err(|error| bind_error(wanted, error))?;
        let address = listener.local_addr().map_err(|error| bind_error(wanted, error))?;
        let inspector = Entry::bind(config.inspect_port, address).await?;
        Ok(Self { state, provider, listener, address, inspector })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the inspector, with the secret token of this start in it; `None` where it is off.
    pub fn inspector(&self) -> Option<String> {
        self.inspector.as_ref().map(Entry::url)
    }

    /// Serves until `stop` ends; then what runs may end too, for as long as the configuration says.
    pub async fn run(self, app: Hosted, stop: impl Future<Output = ()>) -> Result<()> {
        let Self { state, provider, listener, address, inspector } = self;
        state.signer.set_base(format!("http://{}", announce::reachable(address)));
        prepare(&state, &app).await?;
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = background(&state, &app, &Stop(stopped.clone()));
        let _shown = Shown::write(&state.store, inspector.as_ref())?;
        announce::announce(&state, &app.manifest, address, inspector.as_ref());
        let options = Options::new(&PROFILE.limits).with_grace(state.config.grace);
        let mut serving = JoinSet::new();
        if let Some(Entry { listener, token, .. }) = inspector {
            let router = Inspector::new(Arc::clone(&state), Arc::clone(&provider), app.clone(), token).router();
            let answer = move |request| call(router.clone(), request);
            let mut stop = Stop(stopped.clone());
            serving.spawn(async move { isobar_serve::serve(listener, answer, options, stop.wait()).await });
        }
        let (entrance, mut stop_serving) = (Arc::new(Entrance::new(&state, provider, app)), Stop(stopped));
        let answer = move |request| Arc::clone(&entrance).answer(request);
        serving.spawn(async move { isobar_serve::serve(listener, answer, options, stop_serving.wait()).await });
        let store = state.store.clone();
        let mut grace = state.config.grace;
        let ended = tokio::select! {
            biased;
            why = store.ended() => {
                grace = grace.min(AFTER_THE_END);
                Err(why)
            }
            failed = first_failure(&mut tasks) => Err(failed),
            () = stop => Ok(()),
            _ = serving.join_next() => Err(Error::internal("the server ended by itself")),
        };
        stopping.send_replace(true);
        drain(&mut tasks, &mut serving, grace).await;
        ended
    }
}

fn bind_error(wanted: SocketAddr, error: std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("port {} is in use; take another with --port or PORT", wanted.port())
        }
        _ => format!("cannot listen on {wanted}; take another address with --host or --port"),
    };
    Error::config(message).with_source(error)
}

/// What must be done before the first event.
async fn prepare(state: &State, app: &Hosted) -> Result<()> {
    state.store.open()?;
    blob::collect_orphans(&state.store).await?;
    state.queue.subscribe(sources(app).into_iter().map(|(source, ..)| source).collect()).await
}

/// Each with its subscription, which a bucket has none of.
fn sources(app: &Hosted) -> Vec<(Source, String, isobar_abstraction::driver::RetryPolicy)> {
    let messages = app.manifest.messages();
    let topics = messages.map(|it| (Source::topic(&it.topic), it.subscription.clone(), it.retry));
    let objects = app.manifest.objects();
    let buckets = objects.map(|it| (Source::bucket(&it.bucket), String::new(), it.retry));
    topics.chain(buckets).collect()
}

fn background(state: &Arc<State>, app: &Hosted, stop: &Stop) -> JoinSet<Result<()>> {
    let mut tasks = JoinSet::new();
    let clock = &state.clock;
    for (source, subscription, retry) in sources(app) {
        let (queue, function) = (state.queue.clone(), Arc::clone(&app.function));
        let worker = Worker { source, subscription, retry, queue, clock: Arc::clone(clock), function };
        tasks.spawn(worker.run(stop.clone()));
    }
    for trigger in app.manifest.schedules().cloned() {
        let (store, function) = (state.store.clone(), Arc::clone(&app.function));
        tasks.spawn(schedule::run(trigger, store, Arc::clone(clock), function, stop.clone()));
    }
    tasks.spawn(sweep(Arc::clone(state), stop.clone()));
    tasks.spawn(watch_folder(Arc::clone(state), stop.clone()));
    tasks
}

/// Errors: `Unavailable` where the data folder was removed or replaced.
async fn watch_folder(state: Arc<State>, mut stop: Stop) -> Result<()> {
    loop {
        state.store.check_place().await?;
        tokio::select! {
            () = state.clock.sleep(WATCH) => {}
            () = stop.wait() => return Ok(()),
        }
    }
}

/// Deletes expired items, which no read returns any more, from the file.
async fn sweep(state: Arc<State>, mut stop: Stop) -> Result<()> {
    let clock = &state.clock;
    loop {
        while key_value::sweep(&state.store, clock, SWEEP.1).await? == SWEEP.1 {}
        tokio::select! {
            () = clock.sleep(SWEEP.0) => {}
            () = stop.wait() => return Ok(()),
        }
    }
}

/// What the host relies on ends only after the word to stop: all else is a failure, and has a reason.
async fn first_failure(tasks: &mut JoinSet<Result<()>>) -> Error {
    match tasks.join_next().await {
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => Error::internal("a worker broke off; start the app again").with_source(error),
        Some(Ok(Ok(()))) | None => Error::internal("a worker ended by itself; start the app again"),
    }
}

async fn drain<T: 'static>(tasks: &mut JoinSet<Result<()>>, serving: &mut JoinSet<T>, grace: Duration) {
    let all = async {
        while tasks.join_next().await.is_some() {}
        // The connections that were open have answered what they were asked.
        while serving.join_next().await.is_some() {}
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!("not all ended within {} s; messages that were being handled come again", grace.as_secs());
    }
}

async fn call(mut router: axum::Router, request: Request<Body>) -> Response {
    router.call(request).await.unwrap_or_else(|never| match never {})
}

/// Where requests come in: signed URLs under `/.isobar/objects/`, all others are the app's.
struct Entrance {
    app: Hosted,
    clock: Arc<dyn Clock>,
    signed: Signed,
    /// Said once that no route of the app is called below `/.isobar/`?
    warned: Once,
}

impl Entrance {
    fn new(state: &Arc<State>, provider: Arc<dyn Provider>, app: Hosted) -> Self {
        let (clock, signed) = (Arc::clone(&state.clock), Signed::new(Arc::clone(state), provider));
        Self { app, clock, signed, warned: Once::new() }
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response {
        let path = request.uri().path();
        if path != "/.isobar" && !path.starts_with("/.isobar/") {
            return self.respond(self.app.function.as_ref(), PROFILE.limits.http_timeout, request).await;
        }
        if !path.starts_with("/.isobar/objects/") {
            self.warned.call_once(|| {
                let path: String = path.chars().take(100).collect();
                tracing::warn!(
                    path,
                    "the path is isobar's own, as all that begin with /.isobar/: no route of the app is called"
                );
            });
        }
        self.respond(&self.signed, signed::LONGEST, request).await
    }

    async fn respond(&self, function: &dyn Function, timeout: Duration, request: Request<Body>) -> Response {
        let cx = event::context(&self.clock, timeout).with_trace_of(request.headers());
        answer(function, request, cx).await
    }
}

/// Ends at SIGINT or SIGTERM; a second one ends the process at once.
pub(crate) async fn signal() {
    stop_signal().await;
    tracing::info!("stopping; once more to stop at once");
    tokio::spawn(async {
        stop_signal().await;
        std::process::exit(130);
    });
}
