//! Emulators of the clouds, which others wrote, started by the test itself: Python programs in the versions of
//! `emulators/requirements.txt`, Node's in those of `emulators/node/package-lock.json`, one in Go in the version of
//! `fake_gcs`, one in Rust, which `cosmos-emulator/` builds; and those of Google, as `gcloud` has them.
//!
//! They listen on the loopback only, on a free port, and end with the process that started them,
//! however that ends. What they print is under `target/emulators/logs/`.

mod azurite;
mod cosmos;
mod fake_gcs;
mod framework;
mod google;
pub(crate) mod identity;
mod installed;
mod library;
mod node;
mod python;
mod served;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use isobar::Result;
use isobar_conformance::Absent;

pub use azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
pub use cosmos::{COSMOS_KEY, CosmosEmulator, CosmosProgram};
pub use fake_gcs::FakeGcs;
pub use framework::Framework;
pub use google::{GoogleEmulator, GoogleProgram};
pub use identity::{Identity, Issued};
pub(crate) use installed::{log, target};
pub use library::Library;
pub use node::Node;
pub use python::Python;
use served::{PATIENCE, Served};

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

/// An emulator that runs. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct Emulator {
    served: Served,
    address: SocketAddr,
}

impl Emulator {
    /// Starts one, with these variables beside those of this process.
    ///
    /// Errors: `Unavailable` where it ends or does not answer; the message names its log.
    pub fn start(python: &Python, program: Program, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(python.interpreter());
        command.arg(installed::sources().join("serve.py")).arg(program.name).envs(variables.iter().copied());
        let served = Served::start(program.name, command)?;
        let port = served.line()?.trim().parse().map_err(|_| served.failed("told no port"))?;
        let mut emulator = Self { served, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let begun = Instant::now();
        while !emulator.answers(program.ready) {
            if emulator.served.has_ended() || begun.elapsed() > PATIENCE {
                return Err(emulator.served.failed("does not answer"));
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
