//! Credentials of a profile in `~/.aws`: plain keys, or the output of the AWS CLI.

use std::process::{Output, Stdio};
use std::time::Duration;

use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::TemporaryCredential;
use tokio::process::Command;

use super::SourceCredentials;
use super::endpoint::CredentialResponse;
use crate::config::{Credential, SharedFiles};

/// The longest wait for the AWS CLI, which may start a process that opens a browser.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The profile's credentials; `None` if the default profile has none.
///
/// Errors: `Unauthenticated`, with the program to install or to run. The output of the CLI is not part of
/// it, since it can contain secrets from other programs.
pub(super) async fn find(files: &SharedFiles) -> Result<Option<TemporaryCredential<Credential>>> {
    let profile = files.read();
    if profile.is_indirect() {
        return run_cli(files).await.map(Some);
    }
    if let (Some(key_id), Some(secret)) = (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
        let from = format!("profile `{}`", files.profile);
        let (token, account) = (profile.get("aws_session_token"), profile.get("aws_account_id"));
        let credentials = SourceCredentials { key_id, secret_key: secret, token, account, expires: None };
        return credentials.check(&from).map(Some);
    }
    match (files.is_explicit, profile.exists()) {
        (false, _) => Ok(None),
        (true, false) => {
            Err(unusable(files, "is in neither ~/.aws/config nor ~/.aws/credentials; run `aws configure`"))
        }
        // The CLI may support a key that this module does not.
        (true, true) => run_cli(files).await.map(Some),
    }
}

async fn run_cli(files: &SharedFiles) -> Result<TemporaryCredential<Credential>> {
    let profile = files.profile.as_str();
    let run = Command::new("aws")
        .args(["configure", "export-credentials", "--format", "process", "--profile", profile])
        .env_clear()
        .envs(files.environment.vars_with_prefix(""))
        // The metadata service is tried by isobar, as the last source.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(TIMEOUT, run).await {
        Err(_) => {
            return Err(unusable(
                files,
                "needs the AWS CLI, which did not end within a minute: run `aws configure export-credentials`",
            ));
        }
        Ok(Err(error)) => {
            let problem = "needs the AWS CLI v2, which cannot be started: install it, or set AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY";
            return Err(unusable(files, problem).with_source(error));
        }
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        return Err(cli_error(files, &output));
    }
    CredentialResponse::read("the AWS CLI", &output.stdout)
}

fn cli_error(files: &SharedFiles, output: &Output) -> Error {
    let profile = &files.profile;
    let stderr = String::from_utf8_lossy(&output.stderr).to_ascii_lowercase();
    if stderr.contains("export-credentials") && stderr.contains("invalid choice") {
        return unusable(files, "needs a newer AWS CLI: install the AWS CLI v2");
    }
    if stderr.contains("sso") {
        return unusable(files, &format!("needs a new sign-on: run `aws sso login --profile {profile}`"));
    }
    if stderr.contains("aws login") {
        return unusable(files, &format!("needs a new sign-on: run `aws login --profile {profile}`"));
    }
    let problem = "has no credentials: run `aws configure export-credentials --profile";
    unusable(files, &format!("{problem} {profile}` for the reason"))
}

fn unusable(files: &SharedFiles, problem: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the AWS profile `{}` {problem}", files.profile.escape_debug()))
}
