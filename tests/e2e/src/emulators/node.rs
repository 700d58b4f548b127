//! A Node with packages of our own: a folder under `target/`, filled from `emulators/node/package-lock.json`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Absent;
use super::installed::{hash, once, run, sources};

/// All packages, each in one version and with the hash of its content.
const LOCK: &str = include_str!("../../emulators/node/package-lock.json");

/// The need that `ISOBAR_REQUIRE` can name.
const NEED: &str = "node";

/// The oldest that the packages run on.
const OLDEST: u32 = 20;

/// A Node with the packages of `emulators/node/package.json`.
#[derive(Debug, Clone)]
pub struct Node {
    folder: PathBuf,
}

impl Node {
    /// The packages, installed where they are not there yet. Test binaries that run at the same time
    /// wait for the one that installs them.
    pub fn ready() -> Result<Self, Absent> {
        let version = find()?;
        let folder = once(NEED, &format!("node-{:016x}", hash(&[&version, LOCK])), install)?;
        Ok(Self { folder })
    }

    /// What runs a program of the packages, and ends it with this process.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(sources().join("node").join("serve.cjs")).arg(self.folder.join("node_modules").join(program));
        // Node's own settings are not for what is under test.
        command.env_remove("NODE_OPTIONS");
        command
    }

    /// What runs a program of `emulators/node`, which is told where the packages are, and ends it with this process.
    pub(super) fn program_of_ours(&self, program: &str) -> Command {
        let sources = sources().join("node");
        let mut command = Command::new("node");
        command.arg(sources.join("serve.cjs")).arg(sources.join(program)).arg(&self.folder);
        command.env_remove("NODE_OPTIONS");
        command
    }
}

fn install(folder: &Path) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    std::fs::create_dir_all(folder).map_err(failed("no folder for the packages"))?;
    for file in ["package.json", "package-lock.json"] {
        let from = sources().join("node").join(file);
        std::fs::copy(from, folder.join(file)).map_err(failed("the list of packages cannot be copied"))?;
    }
    // Nothing but what the lock file names, and no program of the packages while they are installed.
    let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
    // npm finds no lock file behind a symbolic link.
    let real = folder.canonicalize().map_err(failed("no folder for the packages"))?;
    let installed = run(npm().args(options).arg("--prefix").arg(real));
    installed.map(drop).map_err(|reason| format!("packages cannot be installed: {reason}"))
}

fn npm() -> Command {
    // A script on Windows, which is not found without its end.
    Command::new(OsStr::new(if cfg!(windows) { "npm.cmd" } else { "npm" }))
}

/// The versions of Node and npm.
fn find() -> Result<String, Absent> {
    let node = run(Command::new("node").arg("--version")).unwrap_or_default();
    let major = node.trim().trim_start_matches('v').split('.').next().and_then(|it| it.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(Absent::new(NEED, format!("no Node {OLDEST} or later is installed")));
    }
    let npm = run(npm().arg("--version")).map_err(|_| Absent::new(NEED, "no npm is installed"))?;
    Ok(node + &npm)
}
