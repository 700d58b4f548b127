//! `isobar dev`: the app on this machine, built and started again at each change.
//!
//! This process has the ports, so that no client sees a restart; a child has the data folder and serves.

mod build;
mod child;
mod faults;
mod gate;
mod ignored;
mod lock;
mod ports;
mod proxy;
mod session;
mod watch;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use isobar::driver::Limits;
use isobar::local::Token;
use isobar::local::profile::PROFILE;
use isobar_serve::{Options, listen_after, serve};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;
use crate::project::{PackageArgs, Project};
use child::Front;
use faults::FaultArgs;
use gate::Gate;
use lock::Lock;
use proxy::Port;
use session::Session;
use watch::Watch;

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    package: PackageArgs,
    /// The port of the app; 0 for any free one [default: PORT, also of `.env`, or 3000]
    #[arg(long)]
    port: Option<u16>,
    #[command(flatten)]
    faults: FaultArgs,
}

pub(crate) async fn run(args: &DevArgs, output: &Output) -> Result<ExitCode, Failure> {
    let project = Project::find(&args.package)?;
    let mut lock = Lock::take(&project)?;
    // The child reads the same.
    let mut config = Place::enter(&project.folder, None)?.config;
    let variables = args.faults.apply(&mut config)?;
    let (app, app_address) = known(ports::listen(args.port.unwrap_or(config.port)).await?)?;
    let (inspector, address) = known(listen_after(app_address.port()).await.map_err(|error| no_port(&error))?)?;
    let front = Front { url: format!("http://{app_address}"), token: Token::random()?, variables };
    lock.describe(&front.url);
    let gate = Arc::new(Gate::new());
    let ports = [(app, Port::App), (inspector, Port::Inspector)];
    let limits = config.imitates.map_or(PROFILE.limits, |target| target.limits);
    for (listener, port) in ports {
        tokio::spawn(forward(listener, port, Arc::clone(&gate), limits));
    }
    faults::print(&config, output);
    let settings = vec![project.folder.join(".env"), project.folder.join(&config.secrets)];
    let mut session = Session {
        args: &args.package,
        output,
        watch: Watch::start(&project, settings)?,
        data: project.folder.join(&config.data),
        project,
        front,
        inspector: address,
        gate,
        child: None,
        entry: None,
    };
    let code = tokio::select! {
        ended = session.run() => ended.map(|()| ExitCode::SUCCESS),
        code = stop_signal() => Ok(code),
    };
    tokio::select! {
        () = session.stop() => code,
        code = stop_signal() => Ok(code),
    }
}

async fn forward(listener: TcpListener, port: Port, gate: Arc<Gate>, limits: Limits) {
    let answer = move |request| proxy::answer(Arc::clone(&gate), port, request);
    serve(listener, answer, Options::new(&limits), std::future::pending()).await;
}

fn known(listener: TcpListener) -> Result<(TcpListener, SocketAddr), Failure> {
    let address = listener.local_addr().map_err(|error| no_port(&error))?;
    Ok((listener, address))
}

fn no_port(error: &std::io::Error) -> Failure {
    Failure::new("this system has no free port").because(error)
}

/// Ends at Ctrl-C, at the signal that a supervisor sends, and at the end of the terminal, with the exit code.
async fn stop_signal() -> ExitCode {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        () = is_ended() => ExitCode::SUCCESS,
    }
}

#[cfg(unix)]
async fn is_ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let received = async |kind| match signal(kind) {
        Ok(mut signal) => _ = signal.recv().await,
        Err(_) => std::future::pending().await,
    };
    let hangup = async {
        match ignores_hangup() {
            true => std::future::pending().await,
            false => received(SignalKind::hangup()).await,
        }
    };
    tokio::select! {
        () = received(SignalKind::terminate()) => {}
        () = hangup => {}
    }
}

/// Whether `nohup` started this process.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
async fn is_ended() {
    std::future::pending().await
}
