//! The rules for imports between crates, and for the content of files, checked in `cargo metadata` and the sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod circles;
mod imports;
#[path = "../rust_lexer.rs"]
mod rust_lexer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--all-features"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The normal dependencies of a package of the workspace.
fn dependencies(metadata: &Value, package: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|it| it["name"] == package).unwrap_or_else(|| panic!("no package {package}"));
    let normal = package["dependencies"].as_array().unwrap().iter().filter(|it| it["kind"].is_null());
    normal.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn workspace_crates(dependencies: &BTreeSet<String>) -> BTreeSet<&str> {
    dependencies.iter().filter(|name| name.starts_with("isobar")).map(String::as_str).collect()
}

#[test]
fn imports_go_downward_only() {
    let metadata = metadata();
    assert!(workspace_crates(&dependencies(&metadata, "isobar-abstraction")).is_empty());
    for adapter in ["local", "aws", "azure", "gcp"] {
        let found = dependencies(&metadata, &format!("isobar-{adapter}"));
        let allowed = BTreeSet::from(["isobar-abstraction", "isobar-rest", "isobar-serve"]);
        assert!(
            workspace_crates(&found).is_subset(&allowed),
            "isobar-{adapter} imports {:?}",
            workspace_crates(&found)
        );
        assert!(adapter != "local" || !found.contains("isobar-rest"));
        // A function of Lambda polls for events: a server would only make the binary larger.
        assert!(adapter != "aws" || !found.contains("isobar-serve"));
    }
    for shared in ["isobar-rest", "isobar-serve", "isobar-moving", "isobar-flow"] {
        assert_eq!(
            workspace_crates(&dependencies(&metadata, shared)),
            BTreeSet::from(["isobar-abstraction"]),
            "{shared}"
        );
    }
    let facade = ["isobar-abstraction", "isobar-flow", "isobar-local", "isobar-aws", "isobar-azure", "isobar-gcp"];
    assert_eq!(workspace_crates(&dependencies(&metadata, "isobar")), BTreeSet::from(facade));
    let apps: Vec<_> = std::fs::read_dir(root().join("apps")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(apps.len() >= 5, "{apps:?}");
    for app in apps.iter().map(|app| app.to_str().unwrap()) {
        assert_eq!(workspace_crates(&dependencies(&metadata, app)), BTreeSet::from(["isobar"]), "{app}");
    }
}

#[test]
fn the_abstraction_knows_no_cloud_no_server_and_no_runtime() {
    let found = dependencies(&metadata(), "isobar-abstraction");
    for forbidden in ["tokio", "hyper", "hyper-util", "reqwest", "axum", "redb", "lambda_runtime", "rustls", "ring"] {
        assert!(!found.contains(forbidden), "the abstraction imports {forbidden}");
    }
    assert!(
        !found.iter().any(|name| name.starts_with("aws-") || name.starts_with("azure_") || name.starts_with("google-"))
    );
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The code of a file without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_environment_is_read_in_config_only() {
    for folder in ["src", "abstraction/src", "adapters", "flow/src", "apps"] {
        for path in sources(folder) {
            let reads = ["env::var", "env::args", "env::vars", "env::set_var"];
            let test = relative(&path).contains("/tests/") || path.file_name().unwrap() == "tests.rs";
            // A command of a deployment is a separate program.
            let command = relative(&path).contains("/examples/");
            if path.file_name().unwrap() != "config.rs" && !test && !command {
                let code = code(&path);
                assert!(!reads.iter().any(|read| code.contains(read)), "{} reads the environment", relative(&path));
            }
        }
    }
}

/// A variable that is missing there would be reported as misspelt.
#[test]
fn the_settings_are_all_known() {
    for path in ["src", "adapters"].into_iter().flat_map(sources) {
        let names = code(&path);
        let names = names.lines().filter_map(|line| line.trim().strip_prefix("pub const ISOBAR_")?.split('"').nth(1));
        for name in names {
            assert!(isobar::selection::SETTINGS.contains(&name), "{name} of {}", relative(&path));
        }
    }
}

#[test]
fn features_decide_in_one_table_only() {
    for folder in ["src", "abstraction/src", "adapters", "flow/src", "apps"] {
        for path in sources(folder) {
            let code = code(&path);
            let allowed = ["src/adapters.rs", "src/lib.rs"].contains(&relative(&path).as_str());
            assert!(allowed || !code.contains("feature ="), "{} depends on a feature", relative(&path));
        }
    }
}

#[test]
fn there_are_no_mutable_statics_and_no_constructors() {
    for folder in ["src", "abstraction/src", "adapters", "flow/src", "apps"] {
        for path in sources(folder) {
            let code = code(&path);
            for forbidden in ["static mut", "#[ctor", "lazy_static!"] {
                assert!(!code.contains(forbidden), "{} has {forbidden}", relative(&path));
            }
        }
    }
}

/// The files of every provider, and those of every cloud.
const FILES: [&str; 11] = [
    "lib.rs",
    "state.rs",
    "host.rs",
    "event.rs",
    "config.rs",
    "key_value.rs",
    "blob.rs",
    "pub_sub.rs",
    "secret.rs",
    "profile.rs",
    "deployment.rs",
];
const CLOUD_FILES: [&str; 3] = ["credentials.rs", "permissions.rs", "service.rs"];

/// The further files of a provider, with the reason.
const OWN_FILES: &[(&str, &str, &str)] = &[
    ("aws", "service_error.rs", "STS, which issues credentials, reports errors as the other services do"),
    ("local", "store.rs", "the one file behind key-value, blobs and queues"),
    ("local", "chaos.rs", "faults on purpose, of all services and of the host"),
    ("local", "history.rs", "what the app handled lately, for the dashboard"),
    ("local", "family.rs", "one redb table for each table or bucket, so that each knows its size"),
    ("local", "clock.rs", "a clock for the unit tests"),
];

#[test]
fn all_adapters_have_the_same_file_names() {
    for adapter in ["local", "aws", "azure", "gcp"] {
        let folder = root().join("adapters").join(adapter).join("src");
        let names: BTreeSet<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let own = OWN_FILES.iter().filter(|(of, ..)| *of == adapter).map(|(_, name, _)| *name);
        let of_cloud = CLOUD_FILES.into_iter().filter(|_| adapter != "local");
        let standard: BTreeSet<&str> = FILES.into_iter().chain(of_cloud).collect();
        let known: BTreeSet<&str> = standard.iter().copied().chain(own).collect();
        let unknown: Vec<_> = names.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(unknown.is_empty(), "adapters/{adapter} has {unknown:?}");
        assert!(standard.iter().all(|name| names.contains(*name)), "adapters/{adapter} lacks files: {names:?}");
    }
}

#[test]
fn no_file_has_a_name_without_meaning_or_too_many_lines() {
    for folder in ["src", "abstraction/src", "adapters", "apps", "cli", "testkit", "tests", "benches"] {
        for path in sources(folder) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(
                !["utils", "util", "common", "helpers", "helper", "manager"].contains(&name),
                "{}",
                relative(&path)
            );
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 500, "{} has {lines} lines", relative(&path));
        }
    }
}
