//! Chromium, which a Node program drives: the trials of the dashboard.

use std::path::{Path, PathBuf};
use std::time::Duration;

use isobar::{Error, Result};
use serde::Deserialize;

use super::node::{Node, Packages};
use super::served::Served;
use super::{Absent, NEEDS, installed};

/// The need that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` can name.
const NEED: &str = "chromium";

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What a trial ends itself after, and some more.
const TIMEOUT: Duration = Duration::from_secs(200);

const PACKAGES: Packages = Packages {
    need: NEED,
    folder: "browser",
    lock: include_str!("../../emulators/browser/package-lock.json"),
    name: "the packages of the browser",
    source: "Playwright and axe; from the npm registry, 17 MB",
};

/// Chromium with the programs of `emulators/browser`.
#[derive(Debug)]
pub struct Browser {
    node: Node,
    chromium: PathBuf,
}

/// The result of a trial in a browser.
#[derive(Debug, Deserialize)]
struct Report {
    ok: bool,
    /// The figures of a trial that passes, or what is wrong.
    message: String,
}

impl Browser {
    /// Finds Chromium, and installs the packages if they are not there yet.
    pub fn ready() -> std::result::Result<Self, Absent> {
        NEEDS.check(NEED)?;
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut programs =
            PROGRAMS.iter().flat_map(|name| std::env::split_paths(&folders).map(move |it| it.join(name)));
        let missing = || NEEDS.absent(NEED, "Chromium is missing: install Debian's package `chromium`, or Chrome");
        let chromium = programs.find(|program| program.is_file()).ok_or_else(missing)?;
        Ok(Self { node: Node::with(&PACKAGES)?, chromium })
    }

    /// The names of the trials: the functions that the files of `emulators/browser/trials` export.
    pub fn trials() -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in installed::sources().join("browser/trials").read_dir()? {
            let text = std::fs::read_to_string(file?.path())?;
            let functions =
                text.lines().filter_map(|line| line.strip_prefix("export async function ")?.split_once('('));
            names.extend(functions.map(|(name, _)| name.to_owned()));
        }
        names.sort();
        Ok(names)
    }

    /// Starts the browser, for trials of the apps in this folder.
    pub fn start(&self, apps: &Path) -> Result<BrowserTrials> {
        let mut command = self.node.own_command("browser/run.mjs");
        command.arg(&self.chromium).arg(apps);
        Ok(BrowserTrials(Served::start("browser", command)?))
    }
}

/// A browser that runs trials. It ends when this is dropped.
#[derive(Debug)]
pub struct BrowserTrials(Served);

impl BrowserTrials {
    /// Runs a trial, and returns the figures that it reports. Errors: of the trial.
    pub fn run(&mut self, name: &str) -> Result<String> {
        self.0.send(name)?;
        let Report { ok, message } = serde_json::from_str(&self.0.line_within(TIMEOUT)?)?;
        if ok { Ok(message) } else { Err(Error::internal(message)) }
    }
}
