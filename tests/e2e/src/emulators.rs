//! Emulators of the clouds, which other projects wrote and the tests start: Python programs in the versions of
//! `emulators/requirements.txt`, Node programs in those of `emulators/*/package-lock.json`, one in Go in the version of
//! `fake_gcs`, one in Rust, which `cosmos-emulator/` builds, and those of Google, as `gcloud` installs them.
//!
//! They listen on the loopback only, on a free port, and end with the process that started them, however that ends. Their
//! output is in `target/emulators/logs/`.
//!
//! A test calls `ready` or `start`, which return [`Absent`] when a program is missing or `ISOBAR_WITHOUT` names its need.
//! Everything that they install is announced on standard error before it is fetched.

mod azurite;
mod browser;
mod cosmos;
mod fake_gcs;
mod framework;
mod google;
pub(crate) mod identity;
mod installed;
mod library;
mod node;
pub(crate) mod progress;
mod python;
mod served;
mod terraform;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use isobar::Result;
use isobar_conformance::{Absent, Need, Needs};

pub use azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
pub use browser::{Browser, BrowserTrials};
pub use cosmos::{COSMOS_KEY, CosmosEmulator, CosmosProgram};
pub use fake_gcs::FakeGcs;
pub use framework::Framework;
pub use google::{GoogleEmulator, GoogleProgram};
pub use identity::{Identity, Issued};
pub(crate) use installed::{log, target};
pub use library::Library;
pub use node::Node;
pub use python::Python;
use served::{START_TIMEOUT, Served};
pub use terraform::Terraform;

/// The needs that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
pub const NEEDS: Needs = Needs::new(&[
    Need::new("python"),
    Need::new("node"),
    Need::new("chromium"),
    Need::new("go"),
    Need::group("java", &["firestore-emulator", "pubsub-emulator"]),
    Need::new("firestore-emulator"),
    Need::new("pubsub-emulator"),
    Need::new("cosmos-emulator"),
    Need::new("unshare"),
    Need::new("terraform"),
    Need::new("skopeo"),
    Need::new("umoci"),
]);

/// A program that emulates a cloud.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The name, as in `emulators/serve.py`.
    pub name: &'static str,
    /// The path that answers 200 when the program is ready.
    ready: &'static str,
}

/// moto, the oldest emulator of AWS, which can check signatures and policies. It receives one request at a time (see
/// `serve.py`), so trials of races show the behaviour of the client, not that of the service.
pub const MOTO: Program = Program { name: "moto", ready: "/moto-api/data.json" };

/// ministack, which also runs functions.
pub const MINISTACK: Program = Program { name: "ministack", ready: "/_ministack/health" };

/// A running emulator. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct Emulator {
    served: Served,
    address: SocketAddr,
}

impl Emulator {
    /// Starts an emulator, with these variables in addition to those of this process.
    ///
    /// Errors: `Unavailable` if it ends or does not answer; the message names its log.
    pub fn start(python: &Python, program: Program, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(installed::sources().join("serve.py")).arg(program.name).envs(variables.iter().copied());
        let served = Served::start(program.name, command)?;
        let port = served.line()?.trim().parse().map_err(|_| served.failed("did not print a port"))?;
        let mut emulator = Self { served, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let started = Instant::now();
        while !emulator.answers(program.ready) {
            if emulator.served.has_ended() || started.elapsed() > START_TIMEOUT {
                return Err(emulator.served.failed("does not answer"));
            }
            sleep(Duration::from_millis(20));
        }
        Ok(emulator)
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn answers(&self, path: &str) -> bool {
        let send_request = || {
            let mut stream = TcpStream::connect_timeout(&self.address, START_TIMEOUT)?;
            stream.set_read_timeout(Some(START_TIMEOUT))?;
            write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).map(|()| answer.ends_with(b" 200"))
        };
        let is_success: std::io::Result<bool> = send_request();
        is_success.unwrap_or(false)
    }
}
