//! The emulator of Cosmos DB in Azure's own driver, served over a socket by `tests/e2e/cosmos-emulator`. Its `main.rs`
//! lists what the driver contains and what isobar adds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use isobar::Result;

use super::installed::target;
use super::progress::Work;
use super::served::Served;
use super::{Absent, NEEDS};

/// A key of the same form as those of the service, and the only one that the emulator's server accepts.
pub const COSMOS_KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
const NEED: &str = "cosmos-emulator";

/// The program of the emulator.
#[derive(Debug, Clone)]
pub struct CosmosProgram(PathBuf);

impl CosmosProgram {
    /// The program, built if it is not up to date. The first build takes minutes, and needs crates.io.
    pub fn ready() -> std::result::Result<Self, Absent> {
        NEEDS.check(NEED)?;
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("cosmos-emulator").join("Cargo.toml");
        let target = target().join("cosmos-emulator");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(&target);
        let announcement = format!(
            "building the Cosmos DB emulator (some 200 crates from crates.io, 400 MB, minutes) in {}; \
             skip with ISOBAR_WITHOUT={NEED}",
            target.display()
        );
        let mut work = Work::new("the Cosmos DB emulator", announcement);
        let failed = |reason| NEEDS.absent(NEED, format!("the Cosmos DB emulator cannot be built: {reason}"));
        work.build(&mut build).map_err(failed)?;
        work.end();
        Ok(Self(target.join("debug").join(format!("cosmos-emulator{}", std::env::consts::EXE_SUFFIX))))
    }
}

/// The emulator. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct CosmosEmulator {
    _served: Served,
    /// The URL of the emulator, without a slash at the end.
    pub endpoint: String,
}

impl CosmosEmulator {
    /// Starts it. Errors: `Unavailable` if it ends or does not become ready; the message names its log.
    pub fn start(program: &CosmosProgram) -> Result<Self> {
        Self::start_with(program, &[])
    }

    /// Starts it so that containers of a fixed throughput answer 429 to too many requests.
    pub fn start_throttled(program: &CosmosProgram) -> Result<Self> {
        Self::start_with(program, &["--throttle"])
    }

    /// Starts it with a second region that answers all reads and receives each write after this delay.
    pub fn start_late(program: &CosmosProgram, lag: Duration) -> Result<Self> {
        Self::start_with(program, &["--lag", &lag.as_millis().to_string()])
    }

    fn start_with(program: &CosmosProgram, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(&program.0);
        command.args(["--key", COSMOS_KEY]).args(options);
        let served = Served::start("cosmos-emulator", command)?;
        let endpoint = served.text_after("ready ")?;
        Ok(Self { _served: served, endpoint })
    }
}
