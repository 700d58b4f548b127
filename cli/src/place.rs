//! The working folder of an app, as the app sees it: its variables, its data folder, its secrets.

use std::path::Path;

use isobar::driver::{Environment, ISOBAR_STAGE};
use isobar::local::LocalConfig;

use crate::config;
use crate::failure::Failure;

/// The configuration of the local provider in a folder.
pub(crate) struct Place {
    /// The variables of the shell.
    pub(crate) shell: Environment,
    /// The same with those of the file `.env`.
    pub(crate) environment: Environment,
    pub(crate) config: LocalConfig,
}

impl Place {
    /// Changes to the folder, because the app resolves its paths there.
    pub(crate) fn enter(folder: &Path, stage: Option<&str>) -> Result<Self, Failure> {
        std::env::set_current_dir(folder).map_err(|error| {
            Failure::new(format!("the folder {} cannot be entered", folder.display())).because(&error)
        })?;
        Self::here(stage)
    }

    /// That of the working folder, with the data of this stage, or of the one that the variables name.
    pub(crate) fn here(stage: Option<&str>) -> Result<Self, Failure> {
        let shell = config::shell();
        let shell = stage.map_or_else(|| shell.clone(), |stage| shell.clone().with_var(ISOBAR_STAGE, stage));
        let environment = match isobar::local::ADAPTER.complete {
            Some(complete) => complete(shell.clone())?,
            None => shell.clone(),
        };
        let config = LocalConfig::from_environment(&environment)?;
        Ok(Self { shell, environment, config })
    }
}
