//! The process of the app.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anstream::adapter::strip_str;
use isobar::config::{CLICOLOR_FORCE, ISOBAR_PROVIDER};
use isobar::local::Token;
use isobar::local::config::{ISOBAR_FRONT, ISOBAR_INSPECT_TOKEN};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{self, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::build::{for_lines, print};
use crate::project::Program;

/// How long a program may take until it serves.
const START: Duration = Duration::from_secs(60);

/// How long the last output of a process that has ended may take.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// How many of the last lines on stderr explain the end of a process; a panic is followed by its backtrace.
const LAST_LINES: usize = 100;

/// What a child must know of this process.
#[derive(Debug)]
pub(super) struct Front {
    /// The URL of the app, without a path.
    pub(super) url: String,
    pub(super) token: Token,
    /// Further variables.
    pub(super) variables: Vec<(&'static str, String)>,
}

/// Where a child serves.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Addresses {
    pub(super) app: SocketAddr,
    pub(super) inspector: SocketAddr,
}

#[derive(Deserialize)]
struct Report {
    isobar: Addresses,
}

#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    stdin: ChildStdin,
    last_lines: JoinHandle<String>,
}

impl Child {
    /// Starts the program, and waits until it serves. Errors: what it printed before it ended.
    pub(super) async fn start(program: &Program, folder: &Path, front: &Front) -> Result<(Self, Addresses), String> {
        let path = program.0.display();
        let spawned = command(program, folder, front).spawn();
        let mut process = spawned.map_err(|error| format!("{path} cannot be started: {error}"))?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err("bug in isobar: the app has no pipes; please report it".to_owned());
        };
        let (reporting, report) = oneshot::channel();
        tokio::spawn(pass_stdout(stdout, reporting));
        let mut child = Self { process, stdin, last_lines: tokio::spawn(pass_stderr(stderr)) };
        tokio::select! {
            Ok(addresses) = report => Ok((child, addresses)),
            reason = child.ended() => Err(reason),
            () = tokio::time::sleep(START) => Err(format!(
                "{path} did not report that it serves within {} s: its `main` must call `isobar::main`, of this version of isobar",
                START.as_secs()
            )),
        }
    }

    /// Ends when the process has ended, with the reason.
    pub(super) async fn ended(&mut self) -> String {
        let status = self.process.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let lines = timeout(LAST_OUTPUT, &mut self.last_lines).await.map(Result::unwrap_or_default);
        format!("the app ended ({status})\n\n{}", lines.unwrap_or_default())
    }

    /// Requests the end, and enforces it after the grace period.
    pub(super) async fn stop(mut self, grace: Duration) {
        let _ = self.stdin.write_all(b"stop\n").await;
        if timeout(grace, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
        let _ = timeout(LAST_OUTPUT, &mut self.last_lines).await;
    }
}

fn command(program: &Program, folder: &Path, front: &Front) -> Command {
    let mut command = Command::new(&program.0);
    command.args(["--port", "0"]).current_dir(folder);
    command.env(ISOBAR_PROVIDER, "local").env(ISOBAR_FRONT, &front.url).env(ISOBAR_INSPECT_TOKEN, front.token.secret());
    command.envs(front.variables.iter().map(|(name, value)| (name, value)));
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        command.env(CLICOLOR_FORCE, "1");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C in the terminal is for this process, which then stops the child.
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// Passes on what the app prints, without the line for this process.
async fn pass_stdout(stdout: ChildStdout, reporting: oneshot::Sender<Addresses>) {
    let mut reporting = Some(reporting);
    for_lines(stdout, |line| match serde_json::from_str::<Report>(line) {
        Ok(report) if reporting.is_some() => {
            let _ = reporting.take().map(|reporting| reporting.send(report.isobar));
        }
        _ => {
            let _ = writeln!(anstream::stdout(), "{line}");
        }
    })
    .await;
}

/// Passes on what the app logs, and returns the last lines.
async fn pass_stderr(stderr: ChildStderr) -> String {
    let mut last = VecDeque::new();
    for_lines(stderr, |line| {
        print(&format!("{line}\n"));
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(format!("{}\n", strip_str(line)));
    })
    .await;
    last.into_iter().collect()
}
