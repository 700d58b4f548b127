//! The local data folder: is it whole, and are its secrets safe?

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use isobar::driver::{Environment, Provider};
use isobar::local::{LocalConfig, LocalProvider};
use serde::Deserialize;

use super::{Part, State};
use crate::failure::{Failure, quietly};

const PURPOSE: &str = "local data";

/// The answer of a local process takes less.
const WAIT: Duration = Duration::from_millis(500);

fn part(name: &Path, state: State, text: &str) -> Part {
    let divided = text.split_once("; ").filter(|_| state != State::Good);
    let (found, action) = divided.map_or((text, None), |(found, action)| (found, Some(action.to_owned())));
    let (name, found) = (name.display().to_string(), found.to_owned());
    Part { purpose: PURPOSE, name, state, found, required: false, action }
}

/// The data folder and those of its stages. Failures: a wrong variable.
pub(super) fn all() -> Result<Vec<Part>, Failure> {
    let process = isobar::config::environment();
    let variables = process.vars_with_prefix("").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = isobar::selection::complete(Environment::new(variables, []), isobar::ADAPTERS)?;
    let config = LocalConfig::from_environment(&environment)?;
    if !config.data.is_dir() {
        return Ok(vec![part(&config.data, State::Good, "no data yet")]);
    }
    let stages = std::fs::read_dir(config.data.join("stages")).into_iter().flatten().flatten();
    let folders: Vec<PathBuf> = [config.data.clone()].into_iter().chain(stages.map(|entry| entry.path())).collect();
    let of_folders = folders.iter().flat_map(|folder| [Some(file(folder)), inspector(folder)]).flatten();
    Ok(of_folders.chain(secrets(&config)).chain(ignored(&config)).collect())
}

/// Every page of the data file.
fn file(folder: &Path) -> Part {
    let provider = LocalProvider::new(LocalConfig::new(folder));
    if provider.is_in_use() {
        let action = Some("stop the app, then isobar doctor".to_owned());
        return Part { action, ..part(folder, State::Good, "not checked: an app has it open") };
    }
    match quietly(|| provider.check_data()) {
        Ok(found) => part(folder, State::Good, found),
        Err(error) => {
            let file = error.resource().map_or(folder, Path::new);
            Part { required: true, ..part(file, State::Wrong, &with_cause(&error)) }
        }
    }
}

/// The message of an error, with its source before the next step.
fn with_cause(error: &isobar::Error) -> String {
    let Some(source) = std::error::Error::source(error) else { return error.message().to_owned() };
    let (what, step) = error.message().split_once("; ").unwrap_or((error.message(), ""));
    format!("{what} ({source}); {step}")
}

#[derive(Deserialize)]
struct Inspector {
    port: u16,
}

/// The file with the address of the inspector, if it is one of a process that ended.
fn inspector(folder: &Path) -> Option<Part> {
    let path = folder.join("inspector.json");
    let text = std::fs::read(&path).ok()?;
    let port = serde_json::from_slice::<Inspector>(&text).ok().map(|inspector| inspector.port);
    let answers = |port| TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), WAIT).is_ok();
    if port.is_some_and(answers) {
        return Some(part(&path, State::Good, "an app is running"));
    }
    let text = format!("left by an app that is not running; rm {}", path.display());
    Some(part(&path, State::Wrong, &text))
}

/// The mode and the form of the file of secrets.
fn secrets(config: &LocalConfig) -> Option<Part> {
    if !config.secrets.exists() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
    let provider = LocalProvider::new(config.clone());
    let read = provider.secrets(None).and_then(|store| runtime.block_on(store.get("doctor")));
    Some(match read {
        Ok(_) => part(&config.secrets, State::Good, "only its owner can read it"),
        Err(error) => Part { required: true, ..part(&config.secrets, State::Wrong, error.message()) },
    })
}

/// Does git ignore the data? `None` outside of a repository.
fn ignored(config: &LocalConfig) -> Option<Part> {
    let mut git = Command::new("git");
    let git = git.args(["check-ignore", "-q"]).arg(&config.secrets);
    let code = git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?.code();
    let path = Path::new(".gitignore");
    match code {
        Some(0) => Some(part(path, State::Good, "covers the data folder")),
        Some(1) => {
            let text = format!("does not cover the data folder; echo '{}/' >> .gitignore", config.data.display());
            Some(part(path, State::Wrong, &text))
        }
        _ => None,
    }
}
