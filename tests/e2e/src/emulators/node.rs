//! A Node with packages in pinned versions: a folder under `target/`, filled from a `package-lock.json` below `emulators/`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installed::{Installation, hash, run, sources};
use super::progress::Work;
use super::{Absent, NEEDS};

/// The packages of a folder of `emulators`.
pub(super) struct Packages {
    /// The need, as `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` name it.
    pub(super) need: &'static str,
    /// The folder.
    pub(super) folder: &'static str,
    /// All packages, each in one version and with the hash of its content.
    pub(super) lock: &'static str,
    /// What is installed, such as `the Python packages`.
    pub(super) name: &'static str,
    /// Content, source and size of what is fetched.
    pub(super) source: &'static str,
}

const EMULATORS: Packages = Packages {
    need: NEED,
    folder: "node",
    lock: include_str!("../../emulators/node/package-lock.json"),
    name: "the Node packages",
    source: "Azurite and Google's functions framework; from the npm registry, 200 MB",
};

/// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
const NEED: &str = "node";

/// The oldest Node that the packages run on.
const OLDEST: u32 = 20;

/// A Node with packages.
#[derive(Debug, Clone)]
pub struct Node {
    folder: PathBuf,
}

impl Node {
    /// The packages of the emulators, installed if they are not there yet. Test binaries that run at the same time wait for the
    /// one that installs them.
    pub fn ready() -> Result<Self, Absent> {
        Self::with(&EMULATORS)
    }

    pub(super) fn with(packages: &Packages) -> Result<Self, Absent> {
        NEEDS.check(NEED)?;
        let version = find()?;
        let &Packages { need, name, source, lock, folder } = packages;
        let installation =
            Installation { need, name, source, folder: format!("{folder}-{:016x}", hash(&[&version, lock])) };
        Ok(Self { folder: installation.once(|to, work| install(&sources().join(folder), to, work))? })
    }

    /// A command that runs a program of the packages, and ends it with this process.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = serve();
        command.arg(self.folder.join("node_modules").join(program));
        command
    }

    /// A command that runs a program of `emulators/node` on the folder of the packages, and ends it with this process.
    pub(super) fn source_command(&self, program: &str) -> Command {
        let mut command = serve();
        command.arg(sources().join("node").join(program)).arg(&self.folder);
        command
    }

    /// A command that runs a program of `emulators`, which ends itself with this process, on the folder of the packages.
    pub(super) fn own_command(&self, program: &str) -> Command {
        let mut command = node();
        command.arg(sources().join(program)).arg(&self.folder);
        command
    }
}

fn serve() -> Command {
    let mut command = node();
    command.arg(sources().join("node").join("serve.cjs"));
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    // The user's settings of Node must not change the programs under test.
    command.env_remove("NODE_OPTIONS");
    command
}

fn install(lists: &Path, folder: &Path, work: &mut Work) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    std::fs::create_dir_all(folder).map_err(failed("cannot create the folder"))?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(lists.join(file), folder.join(file)).map_err(failed("cannot copy the list of packages"))?;
    }
    // Only what the lock file names, and no program of a package while it is installed.
    let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=http"];
    // npm finds no lock file behind a symbolic link.
    let real = folder.canonicalize().map_err(failed("cannot resolve the folder"))?;
    work.run(npm().args(options).arg("--prefix").arg(real))
}

fn npm() -> Command {
    // A script on Windows, which is not found without its extension.
    Command::new(OsStr::new(if cfg!(windows) { "npm.cmd" } else { "npm" }))
}

/// The versions of Node and npm.
fn find() -> Result<String, Absent> {
    let node = run(Command::new("node").arg("--version")).unwrap_or_default();
    let major = node.trim().trim_start_matches('v').split('.').next().and_then(|it| it.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(NEEDS.absent(NEED, format!("Node is missing or too old: install Node {OLDEST} or newer")));
    }
    let npm = run(npm().arg("--version")).map_err(|_| NEEDS.absent(NEED, "npm is missing: install it for Node"))?;
    Ok(node + &npm)
}
