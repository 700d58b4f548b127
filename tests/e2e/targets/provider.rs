//! `tests/provider`, the example of *How to add a provider* in CONTRIBUTING, is built, run and tried as a crate outside the
//! workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../provider")
}

/// A cargo command on the crate.
fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([subcommand, "--offline", "--manifest-path"]).arg(folder().join("Cargo.toml"));
    cargo.arg("--target-dir").arg(target()).env("CARGO_PROFILE_DEV_DEBUG", "0").env_remove("RUST_BACKTRACE");
    cargo
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../provider")
}

/// Builds the program and its test target once, and returns the program.
fn build() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // The dependency versions of the workspace, which are there without a network.
        fs::copy(folder().join("../../Cargo.lock"), folder().join("Cargo.lock")).unwrap();
        let mut build = cargo("build");
        isobar_e2e::built::cargo_build("tests/provider", &target(), build.args(["--bins", "--tests"])).unwrap();
        target().join("debug").join(format!("heap{}", std::env::consts::EXE_SUFFIX))
    })
}

struct Running {
    child: Child,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(program: &Path, vars: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        let child = command.env_clear().env("HEAP_PORT", port.to_string()).envs(vars.iter().copied()).spawn().unwrap();
        Self { child, port }
    }

    fn get(&mut self, path: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut stream = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}; {:?}", self.child.try_wait()),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut response = String::new();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut response).unwrap();
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

#[test]
fn an_app_runs_on_a_provider_outside_the_workspace() {
    let program = build();
    for vars in
        [&[][..], &[("ISOBAR_PROVIDER", "heap"), ("K_SERVICE", "other")], &[("ISOBAR_TABLE_GUESTS", "heap://visitors")]]
    {
        let mut app = Running::start(program, vars);
        for visits in 1..=2 {
            assert_eq!(app.get("/ada"), format!("Welcome to heap, ada! Visits: {visits}"), "{vars:?}");
        }
    }
    let wrong = Command::new(program).env_clear().env("HEAP_PORT", "1").env("K_SERVICE", "other").output().unwrap();
    let message = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(message.contains("ISOBAR_PROVIDER=heap|gcp"), "{message}");
}

#[test]
fn a_key_value_store_alone_passes_the_suite() {
    build();
    let output = cargo("test").args(["--test", "conformance"]).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    let names = |end: &str| {
        let results = report.lines().filter(|line| line.starts_with("test heap::") && line.contains(end));
        results.map(|line| line.split_whitespace().nth(1).unwrap()).collect::<BTreeSet<_>>()
    };
    assert!(names("... ok").len() > 100, "{report}");
    let rows_of_apps = ["heap::KV-26::", "heap::ON-2::a_wrong_time_", "heap::ON-7::", "heap::ON-8::", "heap::ON-9::"];
    let is_of_apps = |name: &&str| rows_of_apps.iter().any(|row| name.starts_with(row));
    let (of_apps, ignored): (BTreeSet<_>, BTreeSet<_>) = names("... ignored").into_iter().partition(is_of_apps);
    assert!(!of_apps.is_empty(), "{report}");
    assert_eq!(names("the harness lacks a host for apps"), of_apps);
    let expected = BTreeSet::from([
        "heap::KV-22::items_outlive_the_process",
        "heap::KV-22::deletes_and_transactions_outlive_the_process",
        "heap::KV-22::versions_are_good_and_never_repeated_after_the_process",
        "heap::KV-22::expiry_outlives_the_process",
        "heap::KV-22::cursors_are_good_after_the_process",
    ]);
    assert_eq!(ignored, expected);
    let reason = "the harness lacks a way to end its process and open the data again";
    assert_eq!(names(reason), ignored);
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(summary.contains(&format!("heap: {} trials ignored: {reason}", ignored.len())), "{summary}");
}
