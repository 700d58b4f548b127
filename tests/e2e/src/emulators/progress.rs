//! Work that takes long, such as an installation below `target/`: announced on standard error before it begins, with its
//! progress while it runs and its duration at the end.
//!
//! The lines are written past the capture of libtest, which would show them only when a test fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The time between two lines of progress.
const EVERY: Duration = Duration::from_secs(5);

/// The last lines of a failed tool that are reported.
const LAST_LINES: usize = 12;

/// Announced work, which one or several commands do.
#[derive(Debug)]
pub(crate) struct Work {
    name: &'static str,
    announcement: String,
    started: Option<Instant>,
}

impl Work {
    /// Work of this name, such as `the Python packages`. The announcement is a whole sentence: what is fetched or
    /// built, from where, how large it is, where it is stored, and how to do without it.
    pub(crate) fn new(name: &'static str, announcement: String) -> Self {
        Self { name, announcement, started: None }
    }

    /// Runs a command whose work is not done yet. Errors: the last line that it printed.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<(), String> {
        self.begin();
        self.follow(command)
    }

    /// Runs a build of cargo, which is announced when cargo begins to compile: it may have nothing to do.
    pub(crate) fn build(&mut self, command: &mut Command) -> Result<(), String> {
        self.follow(command)
    }

    /// Prints that the work is done, if it was announced.
    pub(crate) fn end(self) {
        if let Some(started) = self.started {
            print(&format!("{}: done after {} s", self.name, started.elapsed().as_secs()));
        }
    }

    fn begin(&mut self) -> Instant {
        *self.started.get_or_insert_with(|| {
            print(&self.announcement);
            Instant::now()
        })
    }

    fn follow(&mut self, command: &mut Command) -> Result<(), String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (sender, lines) = channel();
        child.stdout.take().into_iter().for_each(|output| send_lines(output, sender.clone()));
        child.stderr.take().into_iter().for_each(|output| send_lines(output, sender.clone()));
        drop(sender);
        let (mut last, mut reported) = (Vec::new(), Instant::now());
        loop {
            match lines.recv_timeout(EVERY.saturating_sub(reported.elapsed())) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let first = line.split_whitespace().next().unwrap_or_default();
                    match first {
                        "Compiling" | "Downloading" => drop(self.begin()),
                        // By another cargo, which holds the lock of the folder.
                        "Blocking" => print(&format!("{}: {}", self.name, line.trim())),
                        _ => {}
                    }
                    last.push(line);
                    last.drain(..last.len().saturating_sub(LAST_LINES));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.begin().elapsed().as_secs();
                    let output = last.last().map_or(String::new(), |line| format!(": {}", line.trim()));
                    print(&format!("{}: {seconds} s{output}", self.name));
                    reported = Instant::now();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        print(&format!("{}: failed with {status}; its last lines:", self.name));
        last.iter().for_each(|line| print(&format!("  {line}")));
        Err(last.pop().unwrap_or_else(|| status.to_string()))
    }
}

fn send_lines(output: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    });
}

/// Writes a line on standard error, in one call so that lines of other threads do not mix with it.
pub(crate) fn print(line: &str) {
    let _ = std::io::stderr().write_all(format!("isobar tests: {line}\n").as_bytes());
}
