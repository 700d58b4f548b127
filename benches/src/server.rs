//! A server to compare: an executable, started on a free port and requests until it answers.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http1::Connection;
use crate::memory_mb_of;

/// Between two tries to connect. Platforms wait longer, which would hide what is measured.
const PAUSE: Duration = Duration::from_micros(50);

/// How long a server may take until it listens.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An executable to compare.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its implementation.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

/// A server that runs, and ends with this.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    process: Child,
    started: Instant,
    address: SocketAddr,
    log: File,
}

impl Program {
    /// Starts it in this environment and no other, on a free port, which `variable` contains.
    pub fn start(&self, variable: &str, environment: Vec<(&'static str, String)>) -> Running {
        let port = free_port();
        let log = tempfile::tempfile().unwrap();
        let mut command = Command::new(&self.path);
        command.env_clear().envs(environment).env(variable, port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone().unwrap());
        let started = Instant::now();
        let spawned = command.spawn();
        let process = spawned.unwrap_or_else(|error| panic!("{}: {error}; build it first", self.path.display()));
        Running { name: self.name, process, started, address: (Ipv4Addr::LOCALHOST, port).into(), log }
    }
}

impl Running {
    /// Asks `GET /` until it is answered, with a client's bare headers. Returns the connection, for what
    /// comes next.
    pub fn answered(&mut self) -> Connection {
        let stream = loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => break stream,
                Err(_) if self.elapsed() < TIMEOUT && !self.has_ended() => std::thread::sleep(PAUSE),
                Err(error) => self.failed(&error.to_string()),
            }
        };
        let mut connection = Connection::new(stream).unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        match connection.ask(request.as_bytes()) {
            // Any answer is one: an app need not have a page there.
            Ok(_) => connection,
            Err(error) => self.failed(&error.to_string()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Since before the process's start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The most memory that it ever held, in MB.
    pub fn peak_mb(&self) -> f64 {
        memory_mb_of(&self.process.id().to_string(), "VmHWM")
    }

    /// Asked after a try that failed, which what is measured has few of.
    fn has_ended(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Ends with what the server wrote.
    fn failed(&mut self, why: &str) -> ! {
        let mut text = String::new();
        self.log.rewind().and_then(|()| self.log.read_to_string(&mut text)).unwrap();
        panic!("{}: {why}\n{text}", self.name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A free port of the loopback interface.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
