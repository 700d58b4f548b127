//! Tokens of a person who has signed on with the Azure CLI.

use std::io::ErrorKind as IoErrorKind;
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::clock::later;
use isobar_abstraction::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::process::Command;

use isobar_rest::Found;

use super::found;
use super::managed::at;
use crate::config::Cli;

/// Longest wait for the Azure CLI, which is slow to start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a token of unknown end is used.
const UNKNOWN: Duration = Duration::from_secs(300);

/// A script, which Windows starts only by its whole name.
const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "accessToken")]
    access_token: String,
    /// Seconds since 1970. An older CLI has only `expiresOn`, a local time of no zone.
    expires_on: Option<u64>,
}

/// A token for the person. The inner error says why there is nobody to ask.
///
/// Errors: `Unauthenticated`, saying what to run. What the CLI wrote is not shown, since it may hold secrets.
pub(super) async fn find(cli: &Cli, resource: &str) -> Result<Result<Found<str>, &'static str>> {
    let mut command = Command::new(PROGRAM);
    command.args(["account", "get-access-token", "--resource", resource, "--output", "json"]);
    if let Some(tenant) = &cli.tenant {
        command.args(["--tenant", tenant]);
    }
    let run =
        command.env_clear().envs(cli.environment.vars_with_prefix("")).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(TIMEOUT, run).await {
        Err(_) => return Err(wrong("did not end within a minute")),
        Ok(Err(error)) if error.kind() == IoErrorKind::NotFound => return Ok(Err("not installed")),
        Ok(Err(error)) => return Err(wrong("cannot be started").with_source(error)),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        return failed(&output).map(Err);
    }
    let malformed = |_| Error::internal("the Azure CLI did not answer with the expected JSON");
    let Answer { access_token, expires_on } = serde_json::from_slice(&output.stdout).map_err(malformed)?;
    let expires = expires_on.or_else(|| end_of(&access_token)).and_then(at);
    found("the Azure CLI", &access_token, expires.unwrap_or_else(|| later(SystemTime::now(), UNKNOWN))).map(Ok)
}

/// Where nobody has signed on the machine is asked next; a sign-on that has ended is the person's to renew.
fn failed(output: &Output) -> Result<&'static str> {
    let told = String::from_utf8_lossy(&output.stderr).to_ascii_lowercase();
    if told.contains("az login") && !told.contains("aadsts") {
        return Ok("nobody has signed on");
    }
    if told.contains("az login") || told.contains("aadsts") {
        return Err(wrong("needs a new sign-on: run `az login`"));
    }
    Err(wrong("gives no token: run `az account get-access-token` to see why"))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the Azure CLI {what}"))
}

/// What a JWT says of its own end.
fn end_of(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}
