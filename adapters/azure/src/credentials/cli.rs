//! Tokens of a person from the Azure CLI.

use std::io::ErrorKind as IoErrorKind;
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::clock::later;
use isobar_abstraction::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::process::Command;

use isobar_rest::TemporaryCredential;

use super::found;
use super::managed::at;
use crate::config::Cli;

/// The timeout of the Azure CLI, which is slow to start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a token with an unknown expiry is used.
const UNKNOWN: Duration = Duration::from_secs(300);

/// The program: a script, which Windows starts only by its full name.
const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "accessToken")]
    access_token: String,
    /// Seconds since 1970. An older CLI has only `expiresOn`, a local time without a zone.
    expires_on: Option<u64>,
}

/// A token of the person. The inner error says why the CLI cannot be used.
///
/// Errors: `Unauthenticated`, with the command to run, without the CLI's output, which may contain secrets.
pub(super) async fn find(cli: &Cli, resource: &str) -> Result<Result<TemporaryCredential<str>, &'static str>> {
    let mut command = Command::new(PROGRAM);
    command.args(["account", "get-access-token", "--resource", resource, "--output", "json"]);
    if let Some(tenant) = &cli.tenant {
        command.args(["--tenant", tenant]);
    }
    let run =
        command.env_clear().envs(cli.environment.vars_with_prefix("")).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(TIMEOUT, run).await {
        Err(_) => return Err(wrong("did not exit within a minute: run `az account get-access-token` to see why")),
        Ok(Err(error)) if error.kind() == IoErrorKind::NotFound => return Ok(Err("not installed")),
        Ok(Err(error)) => return Err(wrong("cannot be started").with_source(error)),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        return failed(&output).map(Err);
    }
    let malformed = |_| Error::internal("the Azure CLI did not return the expected JSON");
    let Answer { access_token, expires_on } = serde_json::from_slice(&output.stdout).map_err(malformed)?;
    let expires = expires_on.or_else(|| end_of(&access_token)).and_then(at);
    found("the Azure CLI", &access_token, expires.unwrap_or_else(|| later(SystemTime::now(), UNKNOWN))).map(Ok)
}

/// Why the CLI failed. Without a login the machine's metadata service is tried next. Errors: `Unauthenticated`, also
/// where a login has expired, which only the person can renew.
fn failed(output: &Output) -> Result<&'static str> {
    let message = String::from_utf8_lossy(&output.stderr).to_ascii_lowercase();
    if message.contains("az login") && !message.contains("aadsts") {
        return Ok("not logged in");
    }
    if message.contains("az login") || message.contains("aadsts") {
        return Err(wrong("requires a new login: run `az login`"));
    }
    Err(wrong("returned no token: run `az account get-access-token` to see why"))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the Azure CLI {what}"))
}

/// The expiry in the claims of a JWT.
fn end_of(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: u64,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}
