//! `isobar new`: each template is built, tested and called as it comes out, and wrong input leaves nothing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod support;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::Transcript;
use support::project::{cargo, isobar, project, root, target, text};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(project: &Path, port: u16) -> Running {
    let program = target().join("debug").join(project.file_name().unwrap());
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--inspect-port", "0"]).current_dir(project);
    let child = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "{} does not listen", project.display());
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// The commands of a README that call this machine, each with the output that the comment behind it states.
fn requests(readme: &str) -> Vec<(String, String)> {
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut found: Vec<(String, String)> = Vec::new();
    for line in blocks.filter(|block| block.contains("localhost:3000")).flat_map(str::lines) {
        match (line.strip_prefix("# "), found.last_mut()) {
            (Some(output), Some(last)) => last.1 += output,
            (None, Some(last)) if last.0.ends_with('\\') => last.0 = format!("{}\n{line}", last.0),
            _ => found.push((line.to_owned(), String::new())),
        }
    }
    found
}

fn try_template(template: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (root, name) = (root(), format!("trial-{template}"));
    let source = ["--template", template, "--isobar-path", root.to_str().unwrap()];
    let project = project(folder.path(), &name, &source);
    cargo(&project, &["fmt", "--check"]);
    cargo(&project, &["test", "--offline", "--quiet"]);
    cargo(&project, &["clippy", "--offline", "--quiet", "--all-targets", "--", "-D", "warnings"]);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let _running = start(&project, port);
    let requests = requests(&fs::read_to_string(project.join("README.md")).unwrap());
    assert!(requests.len() >= 2, "{requests:?}");
    for (command, expected) in requests {
        let here = command.replace("localhost:3000", &format!("127.0.0.1:{port}"));
        let output = Command::new("sh").args(["-c", &here]).output().unwrap();
        assert_eq!(text(&output.stdout).trim(), expected, "{command}\n{}", text(&output.stderr));
    }
}

/// One after the other: they share a folder of cargo's output.
#[test]
#[ignore = "it builds projects, for minutes: cargo test -p isobar-cli -- --include-ignored"]
fn each_template_is_formatted_tested_linted_and_answers_the_requests_of_its_readme() {
    for template in ["hello", "api", "chatbot"] {
        try_template(template);
    }
}

struct Package {
    name: String,
    source: PathBuf,
    unpacked: PathBuf,
}

/// The packages of this repository as crates.io would have them, unpacked in this folder.
fn packages(folder: &Path) -> Vec<Package> {
    let metadata = cargo(&root(), &["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let published = metadata["packages"].as_array().unwrap().iter().filter(|package| package["publish"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = published.map(|package| {
        let (name, version) = (text(&package["name"]), text(&package["version"]));
        let source = Path::new(&text(&package["manifest_path"])).with_file_name("");
        Package { unpacked: folder.join(format!("{name}-{version}")), name, source }
    });
    let packages: Vec<Package> = packages.collect();
    let mut args = vec!["package", "--offline", "--no-verify", "--allow-dirty", "--exclude-lockfile", "--quiet"];
    args.extend(packages.iter().flat_map(|package| ["--package", &package.name]));
    cargo(&root(), &args);
    for Package { unpacked, .. } in &packages {
        let name = unpacked.file_name().unwrap().to_str().unwrap();
        let file = target().join("package").join(format!("{name}.crate"));
        let mut tar = Command::new("tar");
        assert!(tar.arg("-xzf").arg(&file).current_dir(folder).status().unwrap().success(), "{name}: {file:?}");
    }
    packages
}

/// Fails if a package lacks a file of its source, one that its code includes, or a license.
fn assert_whole(name: &str, source: &Path, package: &Path) {
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(package.join(license).is_file(), "{name} has no {license}");
    }
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(source.join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if source.join(&path).is_dir() {
                folders.push(path);
                continue;
            }
            let code =
                fs::read_to_string(package.join(&path)).unwrap_or_else(|error| panic!("{name} {path:?}: {error}"));
            for included in code.split("include_str!(\"").skip(1) {
                let file = package.join(&folder).join(included.split('"').next().unwrap());
                assert!(file.is_file(), "{name} lacks {file:?}, which {path:?} includes");
            }
        }
    }
}

#[test]
#[ignore = "it builds projects, for minutes: cargo test -p isobar-cli -- --include-ignored"]
fn a_project_with_the_dependency_of_the_registry_is_built_from_the_packages_and_tested() {
    let folder = tempfile::tempdir().unwrap();
    let packages = packages(&folder.path().canonicalize().unwrap());
    let project = project(folder.path(), "trial-registry", &["--isobar-version", env!("CARGO_PKG_VERSION")]);
    let mut args = ["test", "--offline", "--quiet"].map(str::to_owned).to_vec();
    for Package { name, source, unpacked } in &packages {
        assert_whole(name, source, unpacked);
        args.extend(["--config".to_owned(), format!("patch.crates-io.{name}.path = {unpacked:?}")]);
    }
    cargo(&project, &args);
}

#[test]
fn the_dependency_is_this_clone_a_registry_version_or_a_repository() {
    let (folder, clone) = (tempfile::tempdir().unwrap(), root().canonicalize().unwrap());
    for (name, args, expected) in [
        ("clone", &[][..], format!("path = \"{}\"", clone.display())),
        ("registry", &["--isobar-version", "0.1"], "version = \"0.1\"".to_owned()),
        ("git", &["--isobar-git", "https://git.example/a\"b"], "git = \"https://git.example/a\\\"b\"".to_owned()),
    ] {
        let made = isobar(folder.path(), &[&["new", name], args].concat());
        assert!(made.status.success(), "{}", text(&made.stderr));
        let manifest = fs::read_to_string(folder.path().join(name).join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("isobar = {{ {expected}, default-features = false }}")), "{manifest}");
    }
}

#[test]
fn the_made_files_are_printed_and_exist() {
    let folder = tempfile::tempdir().unwrap();
    let made = isobar(folder.path(), &["new", "demo", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(made["name"], "demo");
    for file in made["files"].as_array().unwrap() {
        let text = fs::read_to_string(folder.path().join("demo").join(file.as_str().unwrap())).unwrap();
        assert!(!["{{name}}", "{{crate}}", "{{isobar}}", "{{rust}}"].iter().any(|it| text.contains(it)), "{text}");
    }
}

#[test]
fn wrong_input_is_explained_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    fs::write(folder.path().join("taken/note"), "mine").unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
    let mut transcript = Transcript::of(folder.path());
    for (code, args) in [
        (1, &["new", "My App"][..]),
        (1, &["new", "ab"]),
        (1, &["new", "demo--2"]),
        (1, &["new", "taken/../taken"]),
        (1, &["new", "file/demo"]),
        (1, &["new", "link"]),
        (2, &["new", "demo", "--isobar-git", "not a url"]),
        (2, &["new", "demo", "--isobar-version", "1 \"x"]),
        (1, &["new", "test"]),
        (1, &["new", "serde", "-t", "api"]),
        (1, &["new", "taken"]),
        (1, &["new", "file"]),
        (1, &["new", "absent/demo"]),
        (1, &["new", "demo", "--isobar-path", "taken"]),
        (2, &["new"]),
        (2, &["new", "demo", "--template", "x"]),
    ] {
        assert_eq!(transcript.run(args), code, "{}", transcript.text());
    }
    transcript.compare("new");
    assert_eq!(fs::read_to_string(folder.path().join("taken/note")).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn an_empty_folder_is_used_but_not_the_working_folder() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("demo");
    fs::create_dir(&empty).unwrap();
    for place in [".", "../demo"] {
        let inside = isobar(&empty, &["new", place]);
        assert!(text(&inside.stderr).contains("cd .. && isobar new demo"), "{}", text(&inside.stderr));
    }
    assert!(isobar(folder.path(), &["new", "demo"]).status.success());
    assert!(empty.join("Cargo.toml").exists());
}
