//! Transcripts of the built command, compared with files. `ISOBAR_BLESS=1` writes them.

#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code)] // a test fails by panicking, and each target uses a part

pub(crate) mod project;
pub(crate) mod terraform;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use isobar_conformance::Absent;

/// What commands print, one after the other.
pub(crate) struct Transcript {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    /// Texts that differ between runs, and what replaces them.
    hidden: Vec<(String, String)>,
    text: String,
}

impl Transcript {
    /// Commands that run in this folder, which the transcript calls `FOLDER`.
    pub(crate) fn of(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap();
        let hidden = vec![(folder.display().to_string(), "FOLDER".to_owned())];
        Self { folder, variables: Vec::new(), hidden, text: String::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    pub(crate) fn hide(&mut self, text: impl Into<String>, replacement: &str) {
        self.hidden.push((text.into(), replacement.to_owned()));
    }

    pub(crate) fn run(&mut self, args: &[&str]) -> i32 {
        self.run_with(args, "")
    }

    /// Runs the command with this standard input, and returns its exit code.
    pub(crate) fn run_with(&mut self, args: &[&str], input: &str) -> i32 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isobar"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("ISOBAR_") || ["PORT", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"].contains(&name.as_str())
            {
                command.env_remove(name);
            }
        }
        command.args(args).current_dir(&self.folder).envs(self.variables.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let code = output.status.code().unwrap();
        let mut printed = format!("$ isobar {}\n", args.join(" "));
        for (stream, text) in [("", &output.stdout), ("! ", &output.stderr)] {
            for line in String::from_utf8_lossy(text).lines() {
                printed.push_str(&format!("{stream}{line}\n"));
            }
        }
        if code != 0 {
            printed.push_str(&format!("exit code {code}\n"));
        }
        for (text, replacement) in &self.hidden {
            printed = printed.replace(text, replacement);
        }
        self.text.push_str(&printed);
        self.text.push('\n');
        code
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Compares with the file in `tests/snapshots`. Lines of stderr begin with `!`.
    pub(crate) fn compare(&self, name: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
        if std::env::var_os("ISOBAR_BLESS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &self.text).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(expected == self.text, "{} differs; ISOBAR_BLESS=1 writes it. Now:\n{}", file.display(), self.text);
    }
}

/// A program that replaces cargo: the project in `folder` is the package `shop`, and its app prints this manifest.
#[cfg(unix)]
pub(crate) fn fake_cargo(folder: &Path, manifest: &str) -> PathBuf {
    let (app, cargo) = (folder.join("app"), folder.join("cargo"));
    script(&app, &format!("cat <<'END'\n{manifest}\nEND"));
    let metadata = serde_json::json!({
        "packages": [{
            "id": "shop", "name": "shop", "manifest_path": folder.join("Cargo.toml"),
            "targets": [{"kind": ["bin"]}], "features": {"local": ["isobar/local"]},
        }],
        "workspace_members": ["shop"],
        "target_directory": folder.join("target"),
        "workspace_root": folder,
        "resolve": {"nodes": [{"id": "shop", "dependencies": []}]},
    });
    let built = serde_json::json!({"executable": app});
    script(&cargo, &format!("case $1 in\nmetadata) cat <<'END'\n{metadata}\nEND\n;;\n*) echo '{built}' ;;\nesac"));
    cargo
}

/// Writes a program of the shell.
#[cfg(unix)]
pub(crate) fn script(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(file, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The path of a program; `None`, with a line that says so, where it is missing and `ISOBAR_REQUIRE` does not name `need`.
pub(crate) fn program(name: &str, need: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var("ISOBAR_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|required| required == need), "{name} is missing");
        eprintln!("ignored: {name} is missing");
    }
    found
}

/// What a test needs; `None`, with the reason on stderr, where this machine lacks it.
pub(crate) fn found<T>(ready: Result<T, Absent>) -> Option<T> {
    ready
        .map_err(|absent| {
            assert!(!absent.is_required(), "{} is required: {}", absent.need, absent.reason);
            eprintln!("ignored: {}", absent.reason);
        })
        .ok()
}

/// Compares the text files of a folder with those in `tests/snapshots`, where a name has no `.` before it.
pub(crate) fn compare_folder(folder: &Path, name: &str) {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    let read = |folder: &Path| -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
        entries.filter_map(|path| Some((name(&path), std::fs::read_to_string(&path).ok()?))).collect()
    };
    let now = read(folder);
    if std::env::var_os("ISOBAR_BLESS").is_some() {
        let _ = std::fs::remove_dir_all(&snapshots);
        std::fs::create_dir_all(&snapshots).unwrap();
        now.iter().for_each(|(name, text)| std::fs::write(snapshots.join(name), text).unwrap());
    }
    let expected = read(&snapshots);
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&expected), names(&now), "ISOBAR_BLESS=1 writes {}", snapshots.display());
    for (name, text) in &now {
        let file = snapshots.join(name);
        assert!(expected[name] == *text, "{} differs; ISOBAR_BLESS=1 writes it. Now:\n{text}", file.display());
    }
}
