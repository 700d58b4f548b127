//! The apps, built as users deploy them.

use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::manifest::Manifest;
use isobar::{Cloud, Error, Result};

use crate::emulators;
use crate::emulators::progress::Work;
use isobar_conformance::BuildApp;

/// The variable with the profile of the builds. `.ci/run` sets `release`; the default `dev` is quicker.
const ISOBAR_E2E_PROFILE: &str = "ISOBAR_E2E_PROFILE";

/// Builds `shortener`, `chatbot` and `notes` for one provider, and returns the folder of the binaries. The next build, for another
/// provider, replaces them.
pub fn apps(provider: &str) -> Result<PathBuf> {
    build_apps(&["shortener", "chatbot", "notes"], &[provider])
}

/// Builds one app for several providers, and returns the binary: a copy, which no other build replaces.
pub fn one_binary(app: &str, providers: &[&str]) -> Result<PathBuf> {
    let built = build_apps(&[app], providers)?.join(app);
    let copy = built.with_file_name(format!("{app}-{}", providers.join("-")));
    let failed = |error| Error::internal(format!("cannot copy {}", built.display())).with_source(error);
    // A running binary cannot be overwritten, and another trial may start it at any time: a new file takes its name.
    let new = tempfile::NamedTempFile::new_in(built.with_file_name("")).map_err(failed)?.into_temp_path();
    std::fs::copy(&built, &new).map_err(failed)?;
    new.persist(&copy).map_err(|error| failed(error.error))?;
    Ok(copy)
}

/// Runs a `cargo build`. If cargo compiles anything, `what` and `target` are announced on standard error.
pub fn cargo_build(what: &'static str, target: &Path, build: &mut Command) -> Result<()> {
    let announcement = format!("building {what} in {}; the first build takes minutes", target.display());
    let mut work = Work::new(what, announcement);
    work.build(build).map_err(|error| Error::config(format!("cannot build {what}: {error}")))?;
    work.end();
    Ok(())
}

/// The manifest that a binary prints for packaging tools. Errors: `Config` if it is not that of the app.
pub(crate) async fn manifest(binary: &Path, app: BuildApp) -> Result<Manifest> {
    let printed = tokio::process::Command::new(binary).env("ISOBAR_MANIFEST", "1").kill_on_drop(true).output();
    let output = printed.await.map_err(|error| Error::internal("cannot run the binary").with_source(error))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::internal(format!("the binary printed no manifest: {errors}")));
    }
    // It needs no values of secrets.
    let cloud = Cloud::declaration();
    let (declared, manifest) = (app(&cloud)?.start(&cloud)?, serde_json::from_slice(&output.stdout)?);
    if declared == manifest {
        return Ok(manifest);
    }
    Err(Error::config(format!("the manifest of the binary is not that of the app `{}`: build it again", declared.app)))
}

/// Builds apps with the features of providers, and returns the folder of the binaries.
fn build_apps(apps: &[&str], providers: &[&str]) -> Result<PathBuf> {
    let profile = std::env::var(ISOBAR_E2E_PROFILE).unwrap_or_else(|_| "dev".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = emulators::target().join("deployed");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let features = apps.iter().flat_map(|app| providers.iter().map(move |provider| format!("{app}/{provider}")));
    let mut build = Command::new(cargo);
    build
        .args(["build", "--locked", "--no-default-features", "--features"])
        .arg(features.collect::<Vec<_>>().join(","))
        .args(apps.iter().flat_map(|app| ["-p", *app]))
        .args(["--profile", &profile, "--target-dir"])
        .arg(&target)
        // A package is zipped and unzipped: without debug information it is a tenth of the size.
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .current_dir(&root);
    cargo_build("the apps as users deploy them", &target, &mut build)?;
    let folder = target.join(if profile == "dev" { "debug" } else { &profile });
    for app in apps {
        check_dashboard(&folder.join(app), providers.contains(&"local"))?;
    }
    Ok(folder)
}

/// A text that is in each binary with the local provider, and a file of its dashboard.
const OF_THE_LAPTOP: [&[u8]; 2] =
    [b"isobar_local::", include_bytes!("../../../adapters/local/src/host/dashboard/style.css")];

/// A build for clouds has no symbol of the local provider, and no byte of its dashboard. Errors: `Config`.
fn check_dashboard(binary: &Path, expected: bool) -> Result<()> {
    let failed = |error| Error::internal(format!("cannot read {}", binary.display())).with_source(error);
    let content = std::fs::read(binary).map_err(failed)?;
    let has = |part: &&[u8]| memchr::memmem::find(&content, part).is_some();
    match OF_THE_LAPTOP.iter().filter(|part| has(part)).count() {
        0 if !expected => Ok(()),
        2 if expected => Ok(()),
        found => Err(Error::config(format!("{} has {found} of 2 parts of the dashboard", binary.display()))),
    }
}
