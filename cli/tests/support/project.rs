//! Projects from templates, and what cargo builds of them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// All projects have one folder of cargo's output, so that isobar is built once.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../templates")
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Makes a project, with the dependency versions of this repository, which are there without a network.
pub(crate) fn project(folder: &Path, name: &str, args: &[&str]) -> PathBuf {
    fetch();
    let made = isobar(folder, &[&["new", name], args].concat());
    assert!(made.status.success(), "{}", text(&made.stderr));
    fs::copy(root().join("Cargo.lock"), folder.join(name).join("Cargo.lock")).unwrap();
    folder.join(name)
}

/// Fetches the dependencies of all platforms, which `cargo metadata` reads and a build does not. Without a network they must be
/// there already.
fn fetch() {
    let mut fetch =
        command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), &root(), &["fetch", "--quiet"]);
    let _ = fetch.env_remove("CARGO_NET_OFFLINE").output().unwrap();
}

pub(crate) fn isobar(folder: &Path, args: &[&str]) -> Output {
    command(env!("CARGO_BIN_EXE_isobar"), folder, args).output().unwrap()
}

pub(crate) fn cargo<T: AsRef<OsStr>>(project: &Path, args: &[T]) -> Vec<u8> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = command(cargo, project, args);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{cargo:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    output.stdout
}

/// A command that runs cargo, or is cargo.
pub(crate) fn command<T: AsRef<OsStr>>(program: impl AsRef<OsStr>, folder: &Path, args: &[T]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_INCREMENTAL", "0").env("CARGO_NET_OFFLINE", "true");
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
