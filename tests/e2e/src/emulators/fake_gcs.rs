//! fake-gcs-server, which emulates Cloud Storage, in one version.

use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::Result;

use super::Absent;
use super::google::{free_port, until_closed};
use super::installed::{once, run};
use super::served::Served;

/// The module, and its version: Go checks what it fetches against the sum that everybody is told.
const MODULE: &str = "github.com/fsouza/fake-gcs-server@v1.56.1";

/// The need that `ISOBAR_REQUIRE` can name.
const NEED: &str = "go";

/// The server. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct FakeGcs {
    _served: Served,
    /// Where it listens, without a slash at the end.
    pub endpoint: String,
}

impl FakeGcs {
    /// Starts it, where Go is there to build it with; the first time takes a minute, and needs Go's registry.
    ///
    /// The topics of its buckets' notifications are in the emulator of Pub/Sub at `pub_sub`.
    pub fn start(pub_sub: &str) -> std::result::Result<Self, Absent> {
        let program = ready()?;
        Self::serve(&program, free_port(), pub_sub).map_err(|error| Absent::new(NEED, error.to_string()))
    }

    fn serve(program: &Path, port: u16, pub_sub: &str) -> Result<Self> {
        let mut command = until_closed(program);
        let host = format!("127.0.0.1:{port}");
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string(), "-backend", "memory"]);
        // Signed URLs have the port in their host.
        command.args(["-public-host", &host, "-log-level", "error"]);
        command.env("PUBSUB_EMULATOR_HOST", pub_sub.trim_start_matches("http://"));
        let mut served = Served::start("fake-gcs-server", command)?;
        served.listens(port)?;
        Ok(Self { _served: served, endpoint: format!("http://{host}") })
    }
}

fn ready() -> std::result::Result<PathBuf, Absent> {
    run(Command::new("go").arg("version")).map_err(|_| Absent::new(NEED, "no Go is installed"))?;
    let version = MODULE.rsplit('@').next().unwrap_or_default();
    let folder = once(NEED, &format!("fake-gcs-server-{version}"), |folder| {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let mut install = Command::new("go");
        install.args(["install", MODULE]).env("GOBIN", folder).env("GOFLAGS", "-mod=mod");
        run(&mut install).map(drop).map_err(|reason| format!("fake-gcs-server cannot be built: {reason}"))
    })?;
    Ok(folder.join(format!("fake-gcs-server{}", std::env::consts::EXE_SUFFIX)))
}
