//! A Python with packages in pinned versions: a virtual environment under `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::installed::{Installation, hash, run, sources};
use super::progress::Work;
use super::{Absent, NEEDS};

/// All packages, each in one version.
const REQUIREMENTS: &str = include_str!("../../emulators/requirements.txt");

/// Prints path and version if the Python is new enough and can make an environment.
const PROBE: &str =
    "import sys, ensurepip, venv; assert sys.version_info >= (3, 10); print(sys.executable, sys.version)";

/// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
const NEED: &str = "python";

/// A Python with the packages of `emulators/requirements.txt`.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// The environment, installed if it is not there yet. Test binaries that run at the same time wait for the one
    /// that installs it.
    pub fn ready() -> Result<Self, Absent> {
        NEEDS.check(NEED)?;
        let (command, version) = find()?;
        let installation = Installation {
            need: NEED,
            name: "the Python packages",
            source: "moto, ministack, the clouds' libraries; from PyPI, 280 MB",
            folder: format!("python-{:016x}", hash(&[&version, REQUIREMENTS])),
        };
        let environment = installation.once(|environment, work| install(command, environment, work))?;
        Ok(Self { interpreter: interpreter(&environment) })
    }

    /// The path of the interpreter.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join("python")
}

fn install(command: &str, environment: &Path, work: &mut Work) -> Result<(), String> {
    work.run(Command::new(command).args(["-m", "venv"]).arg(environment))?;
    let pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries", "2"];
    let mut install = Command::new(interpreter(environment));
    // Only wheels, and only listed packages: nothing else is pinned.
    install
        .args(pip)
        .args(["--progress-bar", "off", "--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(sources().join("requirements.txt"));
    work.run(&mut install)
}

/// The first command that is a suitable Python, and its version.
fn find() -> Result<(&'static str, String), Absent> {
    let probe = |name| Some((name, run(Command::new(name).args(["-c", PROBE])).ok()?));
    let found = ["python3", "python"].into_iter().find_map(probe);
    found.ok_or_else(|| NEEDS.absent(NEED, "Python is missing: install Python 3.10 or newer with venv and pip"))
}
