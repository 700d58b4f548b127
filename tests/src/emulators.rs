//! Emulators of the clouds, which others wrote: Python programs, in the versions of
//! `emulators/requirements.txt`, started by the test itself.
//!
//! They listen on the loopback only, on a free port, and end with the process that started them,
//! however that ends. What they print is under `target/emulators/logs/`.

mod boto;
mod python;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use isobar::{Error, ErrorKind, Result};

pub use boto::Boto;
pub use python::Python;

/// What a test needs and this machine does not have.
#[derive(Debug, Clone)]
pub struct Absent {
    /// The need, as `ISOBAR_REQUIRE` names it.
    pub need: &'static str,
    /// Why it is not to be had.
    pub reason: String,
}

impl Absent {
    /// A need that is not met, and why.
    pub fn new(need: &'static str, reason: impl Into<String>) -> Self {
        Self { need, reason: reason.into() }
    }

    /// Does `ISOBAR_REQUIRE`, a list with commas, name it? Then the trials that need it fail without it.
    pub fn is_required(&self) -> bool {
        std::env::var("ISOBAR_REQUIRE").is_ok_and(|needs| needs.split(',').any(|need| need.trim() == self.need))
    }
}

/// A program that emulates a cloud.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its name, as `emulators/serve.py` knows it.
    pub name: &'static str,
    /// The path that answers 200 when it is up.
    ready: &'static str,
}

/// moto, whose services for AWS are the oldest, and which can check signatures and policies. It is given one
/// request at a time (see `serve.py`): of races, it shows what the client makes of them, not the service.
pub const MOTO: Program = Program { name: "moto", ready: "/moto-api/data.json" };

/// ministack, which also runs functions.
pub const MINISTACK: Program = Program { name: "ministack", ready: "/_ministack/health" };

/// Longest time from the start of an emulator to its first answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// An emulator that runs. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    address: SocketAddr,
}

impl Emulator {
    /// Starts one, with these variables beside those of this process.
    ///
    /// Errors: `Unavailable` where it ends or does not answer; the message names its log.
    pub fn start(python: &Python, program: Program, variables: &[(&str, &str)]) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = python.logs().join(format!("{}-{number}-{}.log", python::test_name(), program.name));
        let failed =
            |what: &str| Error::new(ErrorKind::Unavailable, format!("{} {what}: see {}", program.name, log.display()));
        let file = File::create(&log).map_err(|error| failed("cannot write its log").with_source(error))?;
        let mut command = Command::new(python.interpreter());
        command.arg(python::sources().join("serve.py")).arg(program.name).envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().map_err(|error| failed("cannot be started").with_source(error))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        // From here on it is ended by `drop`.
        let mut emulator = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        emulator.address.set_port(line.trim().parse().map_err(|_| failed("told no port"))?);
        let begun = Instant::now();
        while !emulator.answers(program.ready) {
            if emulator.has_ended() || begun.elapsed() > PATIENCE {
                return Err(failed("does not answer"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(emulator)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    fn answers(&self, path: &str) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).map(|()| answer.ends_with(b" 200"))
        };
        let answer: std::io::Result<bool> = ask();
        answer.unwrap_or(false)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It ends itself, and what it started, when its standard input closes.
        drop(self.child.stdin.take());
        let begun = Instant::now();
        while !self.has_ended() && begun.elapsed() < Duration::from_secs(2) {
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
