//! The emulator of Cosmos DB in Azure's own driver, served over a socket by `tests/e2e/cosmos-emulator`, which says
//! what of it is theirs and what is ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use isobar::Result;

use super::Absent;
use super::installed::{run, target};
use super::served::Served;

/// A key of the form that the service gives out. The emulator's server knows no other.
pub const COSMOS_KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// The need that `ISOBAR_REQUIRE` can name.
const NEED: &str = "cosmos-emulator";

/// The emulator's program.
#[derive(Debug, Clone)]
pub struct CosmosProgram(PathBuf);

impl CosmosProgram {
    /// Built where it is not yet; the first time takes minutes, and needs the crates' registry.
    pub fn ready() -> std::result::Result<Self, Absent> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("cosmos-emulator").join("Cargo.toml");
        let target = target().join("cosmos-emulator");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(&target);
        run(&mut build).map_err(|reason| Absent::new(NEED, format!("the emulator cannot be built: {reason}")))?;
        Ok(Self(target.join("debug").join(format!("cosmos-emulator{}", std::env::consts::EXE_SUFFIX))))
    }
}

/// The emulator. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct CosmosEmulator {
    _served: Served,
    /// Where it listens, without a slash at the end.
    pub endpoint: String,
}

impl CosmosEmulator {
    /// Starts it. Errors: `Unavailable` where it ends or does not get ready; the message names its log.
    pub fn start(program: &CosmosProgram) -> Result<Self> {
        Self::start_with(program, &[])
    }

    /// Starts it so that containers of a fixed throughput answer 429 when they are asked too much.
    pub fn start_throttled(program: &CosmosProgram) -> Result<Self> {
        Self::start_with(program, &["--throttle"])
    }

    /// Starts it with a second region that answers all reads, and sees each write so much later.
    pub fn start_late(program: &CosmosProgram, lag: Duration) -> Result<Self> {
        Self::start_with(program, &["--lag", &lag.as_millis().to_string()])
    }

    fn start_with(program: &CosmosProgram, further: &[&str]) -> Result<Self> {
        let mut command = Command::new(&program.0);
        command.args(["--key", COSMOS_KEY]).args(further);
        let served = Served::start("cosmos-emulator", command)?;
        let endpoint = served.told("ready ")?;
        Ok(Self { _served: served, endpoint })
    }
}
