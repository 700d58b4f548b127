//! The process of the handler: its start, its probes, its restarts.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isobar::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};

use super::FunctionApp;
use crate::emulators::log;

/// `WorkerReadyCheckPollingInterval`.
const POLL: Duration = Duration::from_millis(25);

/// The number of failures within a time that stops the host.
const FAILURES: (usize, Duration) = (3, Duration::from_secs(30 * 60));

/// The state of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was started, and does not respond yet.
    Starting,
    /// It responds.
    Running,
    /// It ended with the code 0, and is not started again: invocations fail.
    Exited,
    /// It failed three times within half an hour, or never responded, and the host stopped.
    Stopped,
}

/// The process of the handler.
#[derive(Debug, Clone)]
pub(super) struct Process(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    state: watch::Sender<State>,
    starts: Mutex<usize>,
    killed: Notify,
    ended: Notify,
    /// The file for the output of all its runs.
    log: (PathBuf, File),
}

impl Process {
    pub(super) async fn start(app: &FunctionApp, timeout: Duration) -> Result<Self> {
        // Free now; it is unlikely that another process binds it before the handler does.
        let unbound = |source| Error::internal("no port is free").with_source(source);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        drop(listener);
        let (state, _) = watch::channel(State::Starting);
        let (starts, killed, ended) = (Mutex::new(0), Notify::new(), Notify::new());
        let log = log("handler")
            .map_err(|source| Error::internal("cannot create the log of the handler").with_source(source))?;
        let process = Self(Arc::new(Inner { address, state, starts, killed, ended, log }));
        tokio::spawn(process.clone().supervise(app.clone(), timeout));
        process.ready().await.map(|()| process)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub(super) fn state(&self) -> State {
        *self.0.state.borrow()
    }

    pub(super) fn starts(&self) -> usize {
        *self.0.starts.lock()
    }

    /// Kills it without SIGTERM, as `Process.Kill` of .NET does.
    pub(super) fn kill(&self) {
        self.0.state.send_replace(State::Starting);
        self.0.killed.notify_one();
    }

    pub(super) fn end(&self) {
        self.0.ended.notify_one();
    }

    pub(super) async fn ready(&self) -> Result<()> {
        let mut state = self.0.state.subscribe();
        let state = state.wait_for(|state| *state != State::Starting).await.map(|state| *state);
        match state {
            Ok(State::Running) => Ok(()),
            Ok(state) => {
                let message = format!("the handler is {state:?}, not running: see {}", self.0.log.0.display());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the task that runs the handler has ended")),
        }
    }

    async fn supervise(self, app: FunctionApp, timeout: Duration) {
        let mut failures: Vec<Instant> = Vec::new();
        loop {
            let failed = match self.run(&app, timeout).await {
                Ended::Stopped => return,
                Ended::Killed | Ended::Code(Some(200)) => false,
                Ended::Code(Some(0)) => {
                    self.0.state.send_replace(State::Exited);
                    return;
                }
                Ended::Code(_) | Ended::Never => true,
            };
            failures.retain(|at| at.elapsed() < FAILURES.1);
            failures.extend(failed.then(Instant::now));
            if failures.len() >= FAILURES.0 {
                self.0.state.send_replace(State::Stopped);
                return;
            }
            self.0.state.send_replace(State::Starting);
        }
    }

    /// Runs the handler once.
    async fn run(&self, app: &FunctionApp, timeout: Duration) -> Ended {
        *self.0.starts.lock() += 1;
        let Ok(mut child) = self.spawn(app) else { return Ended::Never };
        let mut probing = std::pin::pin!(tokio::time::timeout(timeout, self.probe()));
        let mut live = false;
        loop {
            tokio::select! {
                code = child.wait() => return Ended::Code(code.ok().and_then(|status| status.code())),
                probed = &mut probing, if !live => {
                    if probed.is_err() {
                        let _ = child.kill().await;
                        return Ended::Never;
                    }
                    live = true;
                    self.0.state.send_replace(State::Running);
                }
                () = self.0.killed.notified() => {
                    let _ = child.kill().await;
                    return Ended::Killed;
                }
                () = self.0.ended.notified() => {
                    let _ = child.kill().await;
                    return Ended::Stopped;
                }
            }
        }
    }

    fn spawn(&self, app: &FunctionApp) -> std::io::Result<Child> {
        let root = app.executable.parent().unwrap_or(std::path::Path::new("/"));
        let (stdout, stderr) = (self.0.log.1.try_clone()?, self.0.log.1.try_clone()?);
        let (port, id) = (self.0.address.port().to_string(), super::new_id());
        Command::new(&app.executable)
            .env_clear()
            .envs(app.settings.iter().cloned())
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", &port)
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id)
            .env("FUNCTIONS_HTTPWORKER_PORT", &port)
            .env("FUNCTIONS_HTTPWORKER_ID", &id)
            .env("FUNCTIONS_APP_ROOT_PATH", root)
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
    }

    /// Sends requests without further headers, as .NET's client does, until there is any response.
    async fn probe(&self) {
        loop {
            tokio::time::sleep(POLL).await;
            let Ok(mut stream) = TcpStream::connect(self.0.address).await else { continue };
            let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.0.address);
            let mut byte = [0; 1];
            if stream.write_all(request.as_bytes()).await.is_ok() && stream.read(&mut byte).await.is_ok_and(|n| n > 0) {
                return;
            }
        }
    }
}

enum Ended {
    Code(Option<i32>),
    Killed,
    Never,
    Stopped,
}
