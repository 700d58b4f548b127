//! fake-gcs-server, an emulator of Cloud Storage, in one version.

use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::Result;

use super::google::{free_port, until_closed};
use super::installed::{Installation, run};
use super::progress::Work;
use super::served::Served;
use super::{Absent, NEEDS};

/// The module, and its version: Go checks its content against the public checksum database.
const MODULE: &str = "github.com/fsouza/fake-gcs-server@v1.56.1";

/// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
const NEED: &str = "go";

/// The server. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct FakeGcs {
    _served: Served,
    /// The URL of the server, without a slash at the end.
    pub endpoint: String,
}

impl FakeGcs {
    /// Starts the server. Go builds it the first time, which takes a minute.
    ///
    /// The topics of its buckets' notifications are in the emulator of Pub/Sub at `pub_sub`.
    pub fn start(pub_sub: &str) -> std::result::Result<Self, Absent> {
        let program = ready()?;
        Self::serve(&program, free_port(), pub_sub).map_err(|error| NEEDS.absent(NEED, error.to_string()))
    }

    fn serve(program: &Path, port: u16, pub_sub: &str) -> Result<Self> {
        let mut command = until_closed(program);
        let host = format!("127.0.0.1:{port}");
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string(), "-backend", "memory"]);
        // Signed URLs contain the port in their host.
        command.args(["-public-host", &host, "-log-level", "error"]);
        command.env("PUBSUB_EMULATOR_HOST", pub_sub.trim_start_matches("http://"));
        let mut served = Served::start("fake-gcs-server", command)?;
        served.listens(port)?;
        Ok(Self { _served: served, endpoint: format!("http://{host}") })
    }
}

fn ready() -> std::result::Result<PathBuf, Absent> {
    NEEDS.check(NEED)?;
    run(Command::new("go").arg("version")).map_err(|_| NEEDS.absent(NEED, "Go is missing: install Go"))?;
    let version = MODULE.rsplit('@').next().unwrap_or_default();
    let installation = Installation {
        need: NEED,
        name: "fake-gcs-server",
        source: "built by Go from the Go module proxy; 50 MB, and some 400 MB in Go's own caches",
        folder: format!("fake-gcs-server-{version}"),
    };
    let folder = installation.once(install)?;
    Ok(folder.join(format!("fake-gcs-server{}", std::env::consts::EXE_SUFFIX)))
}

fn install(folder: &Path, work: &mut Work) -> std::result::Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    work.run(Command::new("go").args(["install", "-v", MODULE]).env("GOBIN", folder).env("GOFLAGS", "-mod=mod"))
}
