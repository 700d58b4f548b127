//! The apps, built as they are deployed.

use std::path::{Path, PathBuf};
use std::process::Command;

use isobar::{Error, Result};

use crate::emulators;

/// Which profile the apps are built with. `.ci/run` takes `release`; a laptop is not made to wait for it.
const ISOBAR_E2E_PROFILE: &str = "ISOBAR_E2E_PROFILE";

/// Builds `shortener` and `chatbot` for one provider, and returns the folder that they are in. The next build, for
/// another provider, replaces them.
pub fn apps(provider: &str) -> Result<PathBuf> {
    let profile = std::env::var(ISOBAR_E2E_PROFILE).unwrap_or_else(|_| "dev".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = emulators::target().join("deployed");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--no-default-features", "--features"])
        .arg(format!("shortener/{provider},chatbot/{provider}"))
        .args(["-p", "shortener", "-p", "chatbot", "--profile", &profile, "--target-dir"])
        .arg(&target)
        // A package is zipped and unzipped: without debug information it is a tenth of the size.
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .current_dir(&root)
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join(if profile == "dev" { "debug" } else { &profile })),
        Ok(_) => Err(Error::config(format!("the apps do not build with the feature `{provider}`"))),
        Err(error) => Err(Error::config("cargo cannot be run").with_source(error)),
    }
}
