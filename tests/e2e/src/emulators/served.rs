//! A program that listens, and ends with this process.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use isobar::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::installed;

/// Longest time from the start of a program to its readiness.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running program. It ends itself when its standard input closes, at the latest with this process, and is ended when
/// this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    child: Child,
    name: String,
    log: PathBuf,
    lines: Mutex<Receiver<String>>,
}

impl Served {
    /// Starts a program. Its error output is written to a log; [`line`](Self::line) returns the lines of its output.
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self> {
        let failed =
            |what: &str, error| Error::new(ErrorKind::Unavailable, format!("{name} {what}")).with_source(error);
        let (log, file) = installed::log(name).map_err(|error| failed("has no log file", error))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().map_err(|error| failed("cannot be started", error))?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            // Read to its end even if no line is needed: a full pipe would block the program.
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Ok(Self { child, name: name.to_owned(), log, lines: Mutex::new(lines) })
    }

    /// An error that names the program and its log.
    pub(super) fn failed(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{} {what}: see {}", self.name, self.log.display()))
    }

    /// Writes a line to its standard input. Errors: `Unavailable` if it ends.
    pub(super) fn send(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut();
        let sent = input.map_or(Ok(()), |input| writeln!(input, "{line}"));
        sent.map_err(|error| self.failed("has ended").with_source(error))
    }

    /// The next line of its output. Errors: `Unavailable` if it ends, or prints nothing within the timeout.
    pub(super) fn line(&self) -> Result<String> {
        self.line_within(START_TIMEOUT)
    }

    pub(super) fn line_within(&self, timeout: Duration) -> Result<String> {
        self.lines.lock().recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.failed("did not print a line in time"),
            RecvTimeoutError::Disconnected => self.failed("has ended"),
        })
    }

    /// The text after `mark` in the first line that contains it.
    pub(super) fn text_after(&self, mark: &str) -> Result<String> {
        loop {
            let line = self.line()?;
            if let Some((_, text)) = line.split_once(mark) {
                return Ok(text.trim().trim_end_matches('/').to_owned());
            }
        }
    }

    /// Waits until it listens on this port of the loopback. Errors: `Unavailable` if it ends, or does not listen within the
    /// timeout.
    pub(super) fn listens(&mut self, port: u16) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if self.has_ended() || started.elapsed() > START_TIMEOUT {
                return Err(self.failed("does not listen"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let started = Instant::now();
        while !self.has_ended() && started.elapsed() < Duration::from_secs(2) {
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
