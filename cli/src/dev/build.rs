//! A build by cargo, whose errors are printed and kept.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anstream::adapter::strip_str;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::project::{Program, Project};

/// What cargo prints of each crate; of a rebuild it is no news.
const PROGRESS: [&str; 2] = ["Compiling", "Finished"];

/// Runs a command, and kills its process group when stdin ends: a killed cargo leaves its compilers, and a killed `isobar dev`
/// cannot kill anything.
#[cfg(unix)]
const GROUP: &str = r#"
exec 3<&0 </dev/null
{ read -r _; kill -KILL 0; } <&3 &
"$@" 3<&-
code=$?
kill $!
exit $code
"#;

pub(super) struct Built {
    pub(super) program: Program,
    /// Whether the program is the one of the build before.
    pub(super) is_fresh: bool,
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    #[serde(default)]
    fresh: bool,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    message: String,
    rendered: Option<String>,
}

/// Builds the app. Errors: those of the compiler or of cargo, as plain text.
pub(super) async fn build(project: &Project, shows_progress: bool) -> Result<Built, String> {
    let mut cargo = project.cargo_build("json-diagnostic-rendered-ansi");
    cargo.args(["--color", "always"]);
    #[cfg(unix)]
    let mut command = in_group(&cargo);
    #[cfg(not(unix))]
    let mut command = Command::from(cargo);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut cargo = command.spawn().map_err(|error| format!("cargo cannot be started: {error}"))?;
    // Its end is that of the build.
    let _running = cargo.stdin.take();
    let (Some(stdout), Some(stderr)) = (cargo.stdout.take(), cargo.stderr.take()) else {
        return Err("bug in isobar: cargo has no output; please report it".to_owned());
    };
    let (mut built, mut errors, mut of_cargo) = (None, String::new(), String::new());
    let messages = for_lines(stdout, |line| {
        let Ok(Message { executable, fresh, message }) = serde_json::from_str(line) else { return };
        if let Some(program) = executable {
            built = Some(Built { program: Program(program), is_fresh: fresh });
        }
        let Some(message) = message else { return };
        let Some(text) = message.text() else { return };
        print(text);
        if message.level.starts_with("error") {
            errors.push_str(&strip_str(text).to_string());
        }
    });
    let progress = for_lines(stderr, |line| {
        let plain = strip_str(line).to_string();
        if shows_progress || !PROGRESS.iter().any(|word| plain.trim_start().starts_with(word)) {
            print(&format!("{line}\n"));
            of_cargo.push_str(&format!("{plain}\n"));
        }
    });
    tokio::join!(messages, progress);
    match cargo.wait().await {
        Ok(status) if status.success() => built.ok_or_else(|| format!("`{}` has no program", project.package)),
        _ if errors.is_empty() => Err(of_cargo),
        _ => Err(errors),
    }
}

#[cfg(unix)]
fn in_group(cargo: &std::process::Command) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", GROUP, "sh"]).arg(cargo.get_program()).args(cargo.get_args());
    if let Some(folder) = cargo.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::piped()).process_group(0);
    command
}

impl Diagnostic {
    /// The text to print; `None` for a count of the others.
    fn text(&self) -> Option<&str> {
        let is_count = self.message.starts_with("aborting due to") || self.message.ends_with(" emitted");
        self.rendered.as_deref().filter(|_| !is_count && self.level != "failure-note")
    }
}

/// Prints what another program printed, with its colors where they are on.
pub(super) fn print(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Calls a function for each line until the end.
pub(super) async fn for_lines(from: impl AsyncRead + Unpin, mut call: impl FnMut(&str)) {
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    while from.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        call(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        line.clear();
    }
}
