//! The values of secrets and configuration of a stage, in the service of its cloud.

use std::process::Stdio;

use isobar::config::ISOBAR_SECRETS;
use isobar::manifest::Manifest;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::stage::Stage;
use super::{FolderArgs, Outputs, aws, azure, explained, gcp, outputs_of, text};
use crate::failure::Failure;
use crate::output::Output;
use crate::package::{self, CloudTarget};

/// The service that has the values of a stage.
pub(crate) struct SecretStore {
    pub(crate) manifest: Manifest,
    stage: Stage,
    outputs: Outputs,
}

impl SecretStore {
    pub(crate) async fn open(args: &FolderArgs, output: &Output) -> Result<Self, Failure> {
        let (stage, outputs) = outputs_of(args, output).await?;
        Ok(Self { manifest: package::manifest_of(&stage.folder)?, stage, outputs })
    }

    /// Sets a value, which the command of the cloud reads from standard input: arguments are visible to other users of the
    /// machine. Returns the name there.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Result<String, Failure> {
        let key = format!("{}-{name}", self.stage.name);
        let is_in_secrets_manager =
            isobar::config::environment().var(ISOBAR_SECRETS).is_some_and(|url| url.starts_with("secretsmanager:"));
        match self.stage.target {
            CloudTarget::Aws if is_in_secrets_manager => {
                let of = |action, option| ["secretsmanager", action, option, &key, "--secret-string"];
                if self.aws(&of("create-secret", "--name"), value).await.is_err() {
                    self.aws(&of("put-secret-value", "--secret-id"), value).await?;
                }
            }
            CloudTarget::Aws => {
                let args = ["ssm", "put-parameter", "--name", &key, "--type", "SecureString", "--overwrite", "--value"];
                self.aws(&args, value).await?;
            }
            CloudTarget::Azure => {
                let vault = text(&self.outputs, "key_vault")?;
                let mut az = azure::az()?;
                az.args(["keyvault", "secret", "set", "--vault-name", vault, "--name", &key]);
                az.args(["--file", "/dev/stdin", "--encoding", "utf-8", "--output", "none"]);
                send(&mut az, value).await?;
            }
            CloudTarget::Gcp => {
                let project = text(&self.outputs, "project")?;
                let mut gcloud = gcp::gcloud()?;
                gcloud.args(["secrets", "versions", "add", &key, "--data-file=-", "--project", project, "--quiet"]);
                send(&mut gcloud, value).await?;
            }
        }
        Ok(key)
    }

    /// The last argument is the option of the value.
    async fn aws(&self, args: &[&str], value: &str) -> Result<(), Failure> {
        let mut aws = aws::command(&self.stage, &self.outputs)?;
        send(aws.args(args).args(["file:///dev/stdin", "--output", "json"]), value).await
    }
}

/// Runs a command that reads a value, and says nothing of it.
async fn send(command: &mut Command, value: &str) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| Failure::new("the value cannot be set").because(error);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing reports why.
        let _ = stdin.write_all(value.as_bytes()).await;
    }
    let ran = child.wait_with_output().await.map_err(|error| failed(&error))?;
    match ran.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&ran.stderr).replace(value, "***");
            Err(explained("the value cannot be set", &text))
        }
    }
}
