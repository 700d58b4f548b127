//! The recipe *add a provider* of CONTRIBUTING, built and run as a crate outside the workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const FILES: [&str; 4] = ["Cargo.toml", "src/key_value.rs", "src/lib.rs", "src/main.rs"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../provider")
}

#[test]
fn the_recipe_is_the_crate() {
    let contributing = fs::read_to_string(folder().join("../../CONTRIBUTING.md")).unwrap();
    let recipe = contributing.split("\n## ").find(|section| section.starts_with("How to add a provider\n")).unwrap();
    let blocks: Vec<_> = recipe.split("\n```").skip(1).step_by(2).map(|it| it.split_once('\n').unwrap().1).collect();
    let files = FILES.map(|file| fs::read_to_string(folder().join(file)).unwrap());
    assert_eq!(blocks, files.each_ref().map(|file| file.trim_end()));
    assert_eq!(fs::read_dir(folder().join("src")).unwrap().count(), FILES.len() - 1, "the recipe lacks a file");
}

/// Builds the program with the dependency versions of the workspace.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../provider");
    fs::copy(folder().join("../../Cargo.lock"), folder().join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--offline", "--manifest-path"]).arg(folder().join("Cargo.toml"));
    build.arg("--target-dir").arg(&target).env("CARGO_PROFILE_DEV_DEBUG", "0");
    isobar_e2e::built::cargo_build("the provider of CONTRIBUTING", &target, &mut build).unwrap();
    target.join("debug").join(format!("heap{}", std::env::consts::EXE_SUFFIX))
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
fn an_app_runs_on_the_provider_of_the_recipe() {
    let program = build();
    for vars in
        [&[][..], &[("ISOBAR_PROVIDER", "heap"), ("K_SERVICE", "other")], &[("ISOBAR_TABLE_GUESTS", "heap://visitors")]]
    {
        let mut app = Running::start(&program, vars);
        for visits in 1..=2 {
            assert_eq!(app.get("/ada"), format!("Welcome to heap, ada! Visits: {visits}"), "{vars:?}");
        }
    }
    let wrong = Command::new(&program).env_clear().env("HEAP_PORT", "1").env("K_SERVICE", "other").output().unwrap();
    let message = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(message.contains("ISOBAR_PROVIDER=heap|gcp"), "{message}");
}
