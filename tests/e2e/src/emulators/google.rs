//! Google's own emulators of Firestore and Pub/Sub, which come with `gcloud` and run on Java.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::Result;

use super::Absent;
use super::installed::run;
use super::served::Served;

/// Runs what it is given, and ends it when standard input closes, which it does with the test at the latest.
const UNTIL_CLOSED: &str = r#""$@" </dev/null & program=$!; cat >/dev/null; kill -9 $program"#;

/// One of Google's emulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoogleProgram {
    /// Of Firestore.
    Firestore,
    /// Of Pub/Sub.
    PubSub,
}

impl GoogleProgram {
    /// The need that `ISOBAR_REQUIRE` can name.
    fn need(self) -> &'static str {
        match self {
            Self::Firestore => "firestore-emulator",
            Self::PubSub => "pubsub-emulator",
        }
    }

    /// The component of `gcloud` that it comes with.
    fn component(self) -> &'static str {
        match self {
            Self::Firestore => "cloud-firestore-emulator",
            Self::PubSub => "pubsub-emulator",
        }
    }

    /// The archive that holds the program, wherever its version puts it.
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

/// An emulator of Google's. It ends when this is dropped, and at the latest with this process.
#[derive(Debug)]
pub struct GoogleEmulator {
    _served: Served,
    /// Where it listens, without a slash at the end.
    pub endpoint: String,
}

impl GoogleEmulator {
    /// Starts one, where `gcloud`, its component and Java are there.
    pub fn start(program: GoogleProgram) -> std::result::Result<Self, Absent> {
        let absent = |reason: String| Absent::new(program.need(), reason);
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
    let root = root.map_err(|_| "no gcloud is installed".to_owned())?;
    let platform = Path::new(root.trim()).join("platform");
    let component = program.component();
    let archive = program.archive(&platform);
    let archive =
        archive.ok_or_else(|| format!("gcloud has no component {component}: gcloud components install {component}"))?;
    run(Command::new("java").arg("-version")).map_err(|_| "no Java is installed".to_owned())?;
    Ok(archive)
}

/// What runs a program that does not heed its standard input, until that is closed.
pub(super) fn until_closed(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", UNTIL_CLOSED, "sh"]).arg(program);
    command
}

/// A port on which nobody listens now, and that the system gives to nobody who asks for any: these emulators ask for
/// some of those themselves, and would take their own.
pub(super) fn free_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    let ports = std::iter::repeat_with(|| 20_000 + RandomState::new().hash_one(0) % 10_000).take(100);
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap_or_default()
}
