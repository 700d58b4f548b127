//! A Python of our own: a virtual environment under `target/`, with packages in pinned versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Absent;
use super::installed::{hash, once, run, sources};

/// All packages, each in one version.
const REQUIREMENTS: &str = include_str!("../../emulators/requirements.txt");

/// Says what it is, if it is new enough and can make an environment.
const PROBE: &str =
    "import sys, ensurepip, venv; assert sys.version_info >= (3, 10); print(sys.executable, sys.version)";

/// The need that `ISOBAR_REQUIRE` can name.
const NEED: &str = "python";

/// A Python with the packages of `emulators/requirements.txt`.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// The environment, made where it is not there yet. Test binaries that run at the same time
    /// wait for the one that makes it.
    pub fn ready() -> Result<Self, Absent> {
        let (command, version) = find()?;
        let name = format!("python-{:016x}", hash(&[&version, REQUIREMENTS]));
        let environment = once(NEED, &name, |environment| install(command, environment))?;
        Ok(Self { interpreter: interpreter(&environment) })
    }

    /// The interpreter.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join("python")
}

fn install(command: &str, environment: &Path) -> Result<(), String> {
    run(Command::new(command).args(["-m", "venv"]).arg(environment))
        .map_err(|reason| format!("no virtual environment can be made: {reason}"))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2"];
    let mut install = Command::new(interpreter(environment));
    // Wheels only, and those that are listed: what else would come is nothing that we pinned.
    install
        .args(pip)
        .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(sources().join("requirements.txt"));
    run(&mut install).map(drop).map_err(|reason| format!("packages cannot be installed: {reason}"))
}

/// The first command that is a Python which will do, and what it says of itself.
fn find() -> Result<(&'static str, String), Absent> {
    let probe = |name| Some((name, run(Command::new(name).args(["-c", PROBE])).ok()?));
    let found = ["python3", "python"].into_iter().find_map(probe);
    found.ok_or_else(|| Absent::new(NEED, "no Python 3.10 or later with venv and pip is installed"))
}
