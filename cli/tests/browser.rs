//! A page of the dashboard in Chromium, while `isobar dev` builds and restarts the app.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::project::{cargo, command, project, root, text};

#[test]
#[ignore = "it builds a project, and needs Chromium: cargo test -p isobar-cli -- --include-ignored"]
fn a_page_of_the_dashboard_continues_over_rebuilds() {
    let found = (support::program("chromium", "chromium"), support::program("npm", "chromium"));
    let (Some(chromium), Some(npm)) = found else { return };
    let sources = root().join("tests/e2e/emulators/browser");
    let packages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&packages).unwrap();
    for list in ["package.json", "package-lock.json"] {
        fs::copy(sources.join(list), packages.join(list)).unwrap();
    }
    run(Command::new(npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&packages));

    let folder = tempfile::tempdir().unwrap();
    let project =
        project(&folder.path().canonicalize().unwrap(), "trial-page", &["--isobar-path", root().to_str().unwrap()]);
    cargo(&project, &["build", "--quiet"]);
    let script = sources.join("rebuild.mjs");
    run(command("node", &project, &[&script, &packages, &chromium, Path::new(env!("CARGO_BIN_EXE_isobar"))])
        .env_remove("NODE_OPTIONS"));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
}
