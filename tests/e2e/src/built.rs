//! The apps, built as they are deployed.

use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::manifest::Manifest;
use isobar::{Cloud, Error, Result};

use crate::emulators;
use isobar_conformance::BuildApp;

/// Which profile the apps are built with. `.ci/run` takes `release`; a laptop is not made to wait for it.
const ISOBAR_E2E_PROFILE: &str = "ISOBAR_E2E_PROFILE";

/// Builds `shortener` and `chatbot` for one provider, and returns the folder that they are in. The next build, for
/// another provider, replaces them.
pub fn apps(provider: &str) -> Result<PathBuf> {
    build(&["shortener", "chatbot"], &[provider])
}

/// Builds one app for several providers at once, and returns the binary: a copy, which no other build replaces.
pub fn one_binary(app: &str, providers: &[&str]) -> Result<PathBuf> {
    let built = build(&[app], providers)?.join(app);
    let copy = built.with_file_name(format!("{app}-{}", providers.join("-")));
    let failed = |error| Error::internal(format!("{} cannot be copied", built.display())).with_source(error);
    // One that still runs is not written to, but loses its name.
    match std::fs::remove_file(&copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => std::fs::copy(&built, &copy).map_err(failed)?,
    };
    Ok(copy)
}

/// What a binary declares, asked as packaging asks it. Errors: `Config` where it is not what the app declares.
pub(crate) async fn manifest(binary: &Path, app: BuildApp) -> Result<Manifest> {
    let asked = tokio::process::Command::new(binary).env("ISOBAR_MANIFEST", "1").kill_on_drop(true).output();
    let output = asked.await.map_err(|error| Error::internal("the binary cannot be run").with_source(error))?;
    if !output.status.success() {
        return Err(Error::internal(format!("its manifest: {}", String::from_utf8_lossy(&output.stderr))));
    }
    let memory = Cloud::memory();
    let (declared, manifest) = (app(&memory)?.start(&memory)?, serde_json::from_slice(&output.stdout)?);
    if declared == manifest {
        return Ok(manifest);
    }
    Err(Error::config(format!("the binary declares another app than `{}`", declared.app)))
}

/// Builds apps with the features of providers, and returns the folder that they are in.
fn build(apps: &[&str], providers: &[&str]) -> Result<PathBuf> {
    let profile = std::env::var(ISOBAR_E2E_PROFILE).unwrap_or_else(|_| "dev".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = emulators::target().join("deployed");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let features = apps.iter().flat_map(|app| providers.iter().map(move |provider| format!("{app}/{provider}")));
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--no-default-features", "--features"])
        .arg(features.collect::<Vec<_>>().join(","))
        .args(apps.iter().flat_map(|app| ["-p", *app]))
        .args(["--profile", &profile, "--target-dir"])
        .arg(&target)
        // A package is zipped and unzipped: without debug information it is a tenth of the size.
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .current_dir(&root)
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join(if profile == "dev" { "debug" } else { &profile })),
        Ok(_) => Err(Error::config(format!("the apps do not build with the features `{}`", providers.join(",")))),
        Err(error) => Err(Error::config("cargo cannot be run").with_source(error)),
    }
}
