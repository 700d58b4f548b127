//! `--ci github`: a workflow that deploys a stage, without a stored key.

use std::path::{Path, PathBuf};

use super::template::fill;
use super::{CloudTarget, Made};
use crate::failure::Failure;
use crate::project::Project;

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../templates/github/", $name))
    };
}

/// Writes the workflow into the repository of git, if none is there. Returns its path, and whether it was written.
pub(super) fn write(
    project: &Project,
    target: CloudTarget,
    stage: &str,
    folder: &Path,
    made: &Made,
) -> Result<(PathBuf, bool), Failure> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let root = folder.ancestors().find(|parent| parent.join(".git").exists());
    let root = root.ok_or_else(|| {
        Failure::new(format!("{} is in no repository of git, so it has no place for a workflow", folder.display()))
            .hint("git init")
    })?;
    let file = root.join(format!(".github/workflows/deploy-{}-{stage}.yml", target.name()));
    let inside = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
    let (cloud, steps, login, environment) = match target {
        CloudTarget::Aws => ("AWS", text!("aws.md"), text!("aws.yml"), ""),
        CloudTarget::Azure => ("Azure", text!("azure.md"), text!("azure.yml"), text!("azure.env.yml")),
        CloudTarget::Gcp => ("Google Cloud", text!("gcp.md"), text!("gcp.yml"), ""),
    };
    let prefix = format!("{}-{stage}", made.manifest.app);
    let places = [
        ("app", made.manifest.app.as_str()),
        ("cloud", cloud),
        ("folder", &inside),
        ("package", &project.package),
        ("install", &project.install),
        ("prefix", &prefix),
        ("target", target.name()),
        ("stage", stage),
    ];
    let steps = fill(steps, &places);
    let parts = [("steps", steps.trim_end()), ("login", login.trim_end()), ("environment", environment)];
    let text = fill(text!("deploy.yml"), &[&places[..], &parts].concat());
    if file.exists() {
        return Ok((file, false));
    }
    let written = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&file, text));
    written.map_err(|error| Failure::new(format!("{} cannot be written", file.display())).because(&error))?;
    Ok((file, true))
}
