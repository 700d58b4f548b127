//! Google's own emulators of Firestore and Pub/Sub, which `gcloud` installs and Java runs.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::Result;

use super::installed::run;
use super::served::Served;
use super::{Absent, NEEDS};

/// A shell script that runs its arguments as a command, and kills it when standard input closes, at the latest with the
/// test.
const UNTIL_CLOSED: &str = r#""$@" </dev/null & program=$!; cat >/dev/null; kill -9 $program"#;

/// One of Google's emulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoogleProgram {
    /// The emulator of Firestore.
    Firestore,
    /// The emulator of Pub/Sub.
    PubSub,
}

impl GoogleProgram {
    /// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
    fn need(self) -> &'static str {
        match self {
            Self::Firestore => "firestore-emulator",
            Self::PubSub => "pubsub-emulator",
        }
    }

    /// The component of `gcloud` that contains it.
    fn component(self) -> &'static str {
        match self {
            Self::Firestore => "cloud-firestore-emulator",
            Self::PubSub => "pubsub-emulator",
        }
    }

    /// The archive with the program, whose place depends on the version.
    fn archive(self, platform: &Path) -> Option<PathBuf> {
        let (folder, begin) = match self {
            Self::Firestore => (platform.join(self.component()), "cloud-firestore-emulator"),
            Self::PubSub => (platform.join(self.component()).join("lib"), "cloud-pubsub-emulator"),
        };
        let mut paths = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(begin) && name.ends_with(".jar")
        })
    }

    fn command(self, archive: &Path, port: u16) -> Command {
        let mut command = until_closed("java");
        command.args(["-Xmx512m", "-Duser.language=en"]);
        match self {
            Self::Firestore => {
                let main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";
                command.arg("-cp").arg(archive).args([main, "start"])
            }
            Self::PubSub => command.arg("-jar").arg(archive),
        };
        command.args(["--host=127.0.0.1", &format!("--port={port}")]);
        command
    }
}

/// A running emulator. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct GoogleEmulator {
    _served: Served,
    /// The URL of the emulator, without a slash at the end.
    pub endpoint: String,
}

impl GoogleEmulator {
    /// Starts an emulator. It needs `gcloud`, its component and Java.
    pub fn start(program: GoogleProgram) -> std::result::Result<Self, Absent> {
        NEEDS.check(program.need())?;
        let absent = |reason: String| NEEDS.absent(program.need(), reason);
        let archive = find(program).map_err(absent)?;
        let port = free_port();
        Self::serve(program, &archive, port).map_err(|error| absent(error.to_string()))
    }

    fn serve(program: GoogleProgram, archive: &Path, port: u16) -> Result<Self> {
        let mut served = Served::start(program.component(), program.command(archive, port))?;
        served.listens(port)?;
        Ok(Self { _served: served, endpoint: format!("http://127.0.0.1:{port}") })
    }
}

fn find(program: GoogleProgram) -> std::result::Result<PathBuf, String> {
    let root = run(Command::new("gcloud").args(["info", "--format=value(installation.sdk_root)"]));
    let root = root.map_err(|_| "gcloud is missing: install the Google Cloud CLI and Java".to_owned())?;
    let platform = Path::new(root.trim()).join("platform");
    let component = program.component();
    let archive = program.archive(&platform);
    let archive =
        archive.ok_or_else(|| format!("gcloud lacks a component: run gcloud components install {component}"))?;
    run(Command::new("java").arg("-version")).map_err(|_| "Java is missing: install a Java runtime".to_owned())?;
    Ok(archive)
}

/// A command that runs a program which ignores its standard input, until that is closed.
pub(super) fn until_closed(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", UNTIL_CLOSED, "sh"]).arg(program);
    command
}

/// A port that is free now and outside the range of ephemeral ports: these emulators open ephemeral ports themselves, and
/// would occupy the one that they must listen on.
pub(super) fn free_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    let ports = std::iter::repeat_with(|| 20_000 + RandomState::new().hash_one(0) % 10_000).take(100);
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap_or_default()
}
