//! A Python of our own: a virtual environment under `target/`, with packages in pinned versions.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Absent;

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
    folder: PathBuf,
    interpreter: PathBuf,
}

impl Python {
    /// The environment, made where it is not there yet. Test binaries that run at the same time
    /// wait for the one that makes it.
    pub fn ready() -> Result<Self, Absent> {
        let (command, version) = find()?;
        let folder = folder();
        let environment = folder.join(format!("python-{:016x}", hash(&version)));
        let programs = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
        let python = Self { interpreter: programs.join("python"), folder };
        let unwritable = |error: io::Error| absent(format!("{} cannot be written: {error}", python.folder.display()));
        fs::create_dir_all(python.logs()).map_err(unwritable)?;
        let lock = File::create(python.folder.join("lock")).map_err(unwritable)?;
        lock.lock().map_err(unwritable)?;
        // The mark is written last: without it, an installation ended half way.
        let mark = environment.join("installed");
        if !mark.exists() {
            let _ = fs::remove_dir_all(&environment);
            python.install(command, &environment)?;
            File::create(mark).map_err(unwritable)?;
        }
        Ok(python)
    }

    /// The interpreter.
    pub fn interpreter(&self) -> &Path {
        &self.interpreter
    }

    /// Where programs may write what they print.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    fn install(&self, command: &str, environment: &Path) -> Result<(), Absent> {
        run(Command::new(command).args(["-m", "venv"]).arg(environment))
            .map_err(|reason| absent(format!("no virtual environment can be made: {reason}")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2"];
        let mut install = Command::new(&self.interpreter);
        // Wheels only, and those that are listed: what else would come is nothing that we pinned.
        install
            .args(pip)
            .args(["--no-deps", "--only-binary", ":all:", "--requirement"])
            .arg(sources().join("requirements.txt"));
        run(&mut install).map(drop).map_err(|reason| absent(format!("packages cannot be installed: {reason}")))
    }
}

/// The programs that are written in Python, and what they need.
pub(super) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators")
}

/// The name of the test that runs, to tell its files from those of others.
pub(super) fn test_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().and_then(OsStr::to_str).unwrap_or("test").to_owned()
}

fn absent(reason: String) -> Absent {
    Absent { need: NEED, reason }
}

/// The first command that is a Python which will do, and what it says of itself.
fn find() -> Result<(&'static str, String), Absent> {
    let probe = |name| Some((name, run(Command::new(name).args(["-c", PROBE])).ok()?));
    let found = ["python3", "python"].into_iter().find_map(probe);
    found.ok_or_else(|| absent("no Python 3.10 or later with venv and pip is installed".to_owned()))
}

/// `target/emulators`, in the target folder that this test was built in.
fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    target.map_or_else(fallback, Path::to_owned).join("emulators")
}

fn hash(version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(version.as_bytes());
    hasher.write(REQUIREMENTS.as_bytes());
    hasher.finish()
}

/// What a command printed; else why it failed, in a line.
fn run(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(said.lines().rfind(|line| !line.trim().is_empty()).map_or_else(|| status.to_string(), str::to_owned))
}
