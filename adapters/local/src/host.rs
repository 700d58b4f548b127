//! The host: an HTTP server, workers, schedules, and a graceful stop.

mod announce;
mod entry;
mod front;
mod inspect;
mod recorded;
mod schedule;
mod signed;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::host::answer;
use isobar_abstraction::driver::{Clock, Function, Hosted, Provider};
use isobar_abstraction::{Error, Result};
use isobar_serve::{Options, stop_signal};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::config::LocalConfig;
use crate::history::History;
use crate::state::State;
use crate::{blob, event, key_value};
use entry::Entry;
use inspect::Inspector;
use signed::Signed;
use worker::Worker;

pub use entry::EntryFile;

/// How often expired items are deleted, and how many in one transaction.
const SWEEP: (Duration, usize) = (Duration::from_secs(60), 1_000);

/// How often the host checks that the data folder still exists, also without a write.
const WATCH: Duration = Duration::from_secs(5);

/// The grace period after the store has failed: nothing can be stored then.
const GRACE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A server with a bound port that does not serve yet.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    provider: Arc<dyn Provider>,
    listener: TcpListener,
    address: SocketAddr,
    inspector: Option<Entry>,
}

/// The signal to stop, which all tasks of the host wait for.
#[derive(Debug, Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    async fn wait(&mut self) {
        // The sender is dropped with the server, which also means stop.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

impl Server {
    /// Binds the ports of the configuration. Errors: `Config` where one is in use.
    pub(crate) async fn bind(state: Arc<State>, provider: Arc<dyn Provider>) -> Result<Self> {
        let config = &state.config;
        let address = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(address).await.map_err(|error| bind_error(address, error))?;
        let address = listener.local_addr().map_err(|error| bind_error(address, error))?;
        let inspector = Entry::bind(config.inspect_port, address, config.inspect_token.clone()).await?;
        Ok(Self { state, provider, listener, address, inspector })
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the inspector, with the secret token of this start; `None` where it is off.
    pub fn inspector(&self) -> Option<String> {
        self.inspector.as_ref().map(Entry::url)
    }

    /// Serves until `stop` ends; requests and events in progress may continue for the configured grace period.
    pub async fn run(self, app: Hosted, stop: impl Future<Output = ()>) -> Result<()> {
        let Self { state, provider, listener, address, inspector } = self;
        let own = || format!("http://{}", announce::reachable(address));
        let base = state.config.front.clone().unwrap_or_else(own);
        state.signer.set_base(base.clone());
        prepare(&state, &app).await?;
        state.history.load(state.store.folder());
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = background(&state, &app, &Stop(stopped.clone()));
        let _file = present(&state, &app, address, inspector.as_ref())?;
        let options = Options::new(&state.profile.limits).with_grace(state.config.grace);
        let mut serving = JoinSet::new();
        if let Some(Entry { listener, token, .. }) = inspector {
            let mut stop = Stop(stopped.clone());
            let router = inspect::router(Inspector {
                state: Arc::clone(&state),
                provider: Arc::clone(&provider),
                app: app.clone(),
                token: token.clone(),
                url: base.clone(),
                since: to_millis(state.clock.now()),
                stop: stop.clone(),
            });
            let answer = move |request| call(router.clone(), inspect::admit(&token, request));
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
                grace = grace.min(GRACE_AFTER_FAILURE);
                Err(why)
            }
            failed = first_failure(&mut tasks) => Err(failed),
            () = stop => Ok(()),
            _ = serving.join_next() => Err(Error::internal("bug in isobar: the server ended without a signal; please report it")),
        };
        stopping.send_replace(true);
        drain(&mut tasks, &mut serving, grace).await;
        if ended.is_ok() {
            state.history.save(state.store.folder(), state.config.front.is_some());
        }
        if let Some(totals) = state.chaos.as_ref().and_then(|chaos| chaos.totals()) {
            tracing::info!("{totals}");
        }
        ended
    }
}

/// Reports where the host serves: to the process in front; otherwise in a file for tools, and to a person or the log.
fn present(state: &State, app: &Hosted, address: SocketAddr, inspector: Option<&Entry>) -> Result<Option<EntryFile>> {
    if state.config.front.is_some() {
        front::report(address, inspector.map(|entry| entry.address));
        return Ok(None);
    }
    let folder = state.store.folder();
    let file = inspector.map(|entry| EntryFile::write(folder, entry.address, &entry.token)).transpose()?;
    if file.is_none() {
        EntryFile::remove(folder);
    }
    announce::announce(state, &app.manifest, address, inspector);
    Ok(file)
}

fn bind_error(address: SocketAddr, error: std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("port {} is in use; choose another with --port or PORT", address.port())
        }
        _ => format!("cannot listen on {address}; choose another address with --host or --port"),
    };
    Error::config(message).with_source(error)
}

/// Opens the store and prepares blobs and the queue, before the first event.
async fn prepare(state: &State, app: &Hosted) -> Result<()> {
    state.store.open()?;
    blob::collect_orphans(&state.store).await?;
    let mut queues = BTreeMap::new();
    for (queue, _) in app.manifest.queues() {
        if let Some(other) = queues.insert(state.config.physical(&queue), queue.clone()) {
            return Err(Error::config(format!(
                "{other} and {queue} have one queue, since their sources have one name; give one of them a URL with another name"
            )));
        }
    }
    for trigger in app.manifest.objects() {
        state.queue.enqueuer().set_filter(state.config.physical(&trigger.queue()), trigger.filter.clone());
    }
    state.queue.subscribe(queues.into_keys().collect()).await
}

fn background(state: &Arc<State>, app: &Hosted, stop: &Stop) -> JoinSet<Result<()>> {
    let mut tasks = JoinSet::new();
    let clock = &state.clock;
    for (of, retry) in app.manifest.queues() {
        let (queue, function, stored) = (state.queue.clone(), Arc::clone(&app.function), state.config.physical(&of));
        let worker = Worker {
            of,
            stored,
            retry,
            queue,
            clock: Arc::clone(clock),
            function,
            limits: &state.profile.limits,
            chaos: state.chaos.clone(),
            history: state.history.clone(),
        };
        tasks.spawn(worker.run(stop.clone()));
    }
    for trigger in app.manifest.schedules().cloned() {
        tasks.spawn(schedule::run(trigger, Arc::clone(state), Arc::clone(&app.function), stop.clone()));
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
    let lag = state.config.imitates.map_or(Duration::ZERO, |target| target.ttl_lag);
    loop {
        while key_value::sweep(&state.store, clock, SWEEP.1, lag).await? == SWEEP.1 {}
        tokio::select! {
            () = clock.sleep(SWEEP.0) => {}
            () = stop.wait() => return Ok(()),
        }
    }
}

/// The first failure of a background task. A task that ends before the signal to stop is a failure.
async fn first_failure(tasks: &mut JoinSet<Result<()>>) -> Error {
    match tasks.join_next().await {
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => {
            Error::internal("bug in isobar: a background task panicked; please report it, and start the app again")
                .with_source(error)
        }
        Some(Ok(Ok(()))) | None => Error::internal(
            "bug in isobar: a background task ended without a signal; please report it, and start the app again",
        ),
    }
}

async fn drain<T: 'static>(tasks: &mut JoinSet<Result<()>>, serving: &mut JoinSet<T>, grace: Duration) {
    let all = async {
        while tasks.join_next().await.is_some() {}
        // Open connections send the responses to their requests.
        while serving.join_next().await.is_some() {}
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!("the grace period of {} s is over; messages in progress are delivered again", grace.as_secs());
    }
}

async fn call(mut router: axum::Router, request: Request<Body>) -> Response {
    router.call(request).await.unwrap_or_else(|never| match never {})
}

/// The handler of all requests: signed URLs below `/.isobar/objects/`, the app for all other paths.
struct Entrance {
    app: Hosted,
    clock: Arc<dyn Clock>,
    history: History,
    signed: Signed,
    /// Of the app's own handlers.
    timeout: Duration,
    /// Logs once that paths below `/.isobar/` call no route of the app.
    warned: Once,
}

impl Entrance {
    fn new(state: &Arc<State>, provider: Arc<dyn Provider>, app: Hosted) -> Self {
        let timeout = state.profile.limits.http_timeout;
        let (clock, history) = (Arc::clone(&state.clock), state.history.clone());
        let signed = Signed::new(Arc::clone(state), provider);
        Self { app, clock, history, signed, timeout, warned: Once::new() }
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response {
        let path = request.uri().path();
        if path != "/.isobar" && !path.starts_with("/.isobar/") {
            return self.respond(self.app.function.as_ref(), self.timeout, request).await;
        }
        if !path.starts_with("/.isobar/objects/") {
            self.warned.call_once(|| {
                let path: String = path.chars().take(100).collect();
                tracing::warn!(
                    path,
                    "paths below /.isobar/ are reserved for isobar: no route of the app is called; choose another path"
                );
            });
        }
        self.respond(&self.signed, signed::LONGEST, request).await
    }

    async fn respond(&self, function: &dyn Function, timeout: Duration, request: Request<Body>) -> Response {
        let cx = event::context(&self.clock, timeout).with_trace_of(request.headers());
        let (request, running) = self.history.begin_request(request, &cx, false);
        let response = running.run(pin!(answer(function, request, cx))).await;
        running.respond(response)
    }
}

/// Ends at SIGINT or SIGTERM, or where the process in front requests it; a second signal ends the process immediately.
pub(crate) async fn signal(config: &LocalConfig) {
    if config.front.is_some() {
        return tokio::select! {
            () = front::stop_line(config.grace) => {}
            () = stop_signal() => {}
        };
    }
    stop_signal().await;
    tracing::info!("stopping; send the signal again to stop immediately");
    tokio::spawn(async {
        stop_signal().await;
        std::process::exit(130);
    });
}
