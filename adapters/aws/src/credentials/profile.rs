//! Credentials of a person's profile in `~/.aws`: plain keys, or what the AWS CLI makes of it.

use std::process::{Output, Stdio};
use std::time::Duration;

use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::Found;
use tokio::process::Command;

use super::Sent;
use super::endpoint::Answer;
use crate::config::{Credential, SharedFiles};

/// Longest wait for the AWS CLI: a process that it calls may open a browser.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The profile's credentials; `None` where the default profile has none.
///
/// Errors: `Unauthenticated`, saying what to install or to run. What the CLI wrote is not shown, since
/// it passes on what other programs wrote, secrets perhaps.
pub(super) async fn find(files: &SharedFiles) -> Result<Option<Found<Credential>>> {
    let profile = files.read();
    if profile.is_indirect() {
        return ask_cli(files).await.map(Some);
    }
    if let (Some(key_id), Some(secret)) = (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
        let from = format!("profile `{}`", files.profile);
        let (token, account) = (profile.get("aws_session_token"), profile.get("aws_account_id"));
        let sent = Sent { key_id, secret_key: secret, token, account, expires: None };
        return sent.check(&from).map(Some);
    }
    match (files.asked_for, profile.exists()) {
        (false, _) => Ok(None),
        (true, false) => Err(wrong(files, "is in neither ~/.aws/config nor ~/.aws/credentials; run `aws configure`")),
        // A key that this file does not know, perhaps.
        (true, true) => ask_cli(files).await.map(Some),
    }
}

async fn ask_cli(files: &SharedFiles) -> Result<Found<Credential>> {
    let profile = files.profile.as_str();
    let run = Command::new("aws")
        .args(["configure", "export-credentials", "--format", "process", "--profile", profile])
        .env_clear()
        .envs(files.environment.vars_with_prefix(""))
        // We ask for it ourselves, last.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(TIMEOUT, run).await {
        Err(_) => return Err(wrong(files, "needs the AWS CLI, which did not end within a minute")),
        Ok(Err(error)) => {
            let what = "needs the AWS CLI v2, which cannot be started: install it, or set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY";
            return Err(wrong(files, what).with_source(error));
        }
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        return Err(failed(files, &output));
    }
    Answer::read("the AWS CLI", &output.stdout)
}

fn failed(files: &SharedFiles, output: &Output) -> Error {
    let profile = &files.profile;
    let told = String::from_utf8_lossy(&output.stderr).to_ascii_lowercase();
    if told.contains("export-credentials") && told.contains("invalid choice") {
        return wrong(files, "needs a newer AWS CLI: install the AWS CLI v2");
    }
    if told.contains("sso") {
        return wrong(files, &format!("needs a new sign-on: run `aws sso login --profile {profile}`"));
    }
    if told.contains("aws login") {
        return wrong(files, &format!("needs a new sign-on: run `aws login --profile {profile}`"));
    }
    let what = "gives no credentials: run `aws configure export-credentials --profile";
    wrong(files, &format!("{what} {profile}` to see why"))
}

fn wrong(files: &SharedFiles, what: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the AWS profile `{}` {what}", files.profile.escape_debug()))
}
