//! Terraform, with the plug-ins of a mirror where this machine has one.

use std::fs;
use std::path::{Path, PathBuf};

use super::installed::target;
use super::{Absent, NEEDS};

/// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
const NEED: &str = "terraform";

/// The variable with the folder of a mirror of plug-ins. Without it, and without the folder below, Terraform downloads them.
const ISOBAR_TF_PLUGINS: &str = "ISOBAR_TF_PLUGINS";

const MIRROR: &str = "/opt/tf-plugins";

/// The program `terraform`.
#[derive(Debug, Clone)]
pub struct Terraform {
    config: Option<PathBuf>,
    mirror: PathBuf,
}

impl Terraform {
    /// That of this machine.
    pub fn ready() -> Result<Self, Absent> {
        NEEDS.check(NEED)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("terraform").is_file()) {
            return Err(Absent::new(
                NEED,
                "terraform is not installed: https://developer.hashicorp.com/terraform/install",
            ));
        }
        let mirror = PathBuf::from(std::env::var_os(ISOBAR_TF_PLUGINS).unwrap_or_else(|| MIRROR.into()));
        let config = mirror.is_dir().then(|| target().join("terraform.tfrc"));
        if let Some(config) = &config {
            let folder = mirror.display();
            let text = format!("provider_installation {{\n  filesystem_mirror {{\n    path = \"{folder}\"\n  }}\n}}\n");
            // Another test may read it, and it is the same for all.
            let is_there = fs::read_to_string(config).is_ok_and(|there| there == text);
            let written = if is_there { Ok(()) } else { fs::write(config, text) };
            written.map_err(|error| Absent::new(NEED, format!("{} cannot be written: {error}", config.display())))?;
        }
        Ok(Self { config, mirror })
    }

    /// The variables of a process that runs it.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.config.iter().map(|config| ("TF_CLI_CONFIG_FILE", config.as_path()))
    }

    /// Has the mirror a plug-in, such as `hashicorp/azurerm`?
    pub fn has_plugin(&self, name: &str) -> bool {
        self.mirror.join("registry.terraform.io").join(name).is_dir()
    }
}
