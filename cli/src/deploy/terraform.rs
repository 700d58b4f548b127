//! Terraform or OpenTofu, as a program in the folder of a stage.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::Outputs;
use super::plan::Plan;
use crate::config;
use crate::failure::Failure;
use crate::output::Output;

/// How to get it.
const INSTALL: &str =
    "install one of them: https://developer.hashicorp.com/terraform/install or https://opentofu.org/docs/intro/install";

/// A program that manages the stage in a folder.
#[derive(Debug)]
pub(super) struct Terraform<'a> {
    program: PathBuf,
    folder: &'a Path,
    /// The file of the last plan. Another command has another one.
    plan: String,
    output: &'a Output,
}

/// The program. Failures: neither is installed.
pub(super) fn installed() -> Result<PathBuf, Failure> {
    let found = ["terraform", "tofu"].into_iter().find_map(config::program);
    found.ok_or_else(|| Failure::new("neither `terraform` nor `tofu` is installed").hint(INSTALL))
}

/// How a run ended.
pub(super) struct Ran {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    /// Ctrl-C was pressed.
    pub(super) is_interrupted: bool,
}

/// A line of `terraform apply -json`.
#[derive(Deserialize)]
struct Event {
    r#type: String,
    #[serde(default)]
    hook: Hook,
    diagnostic: Option<Diagnostic>,
}

#[derive(Default, Deserialize)]
struct Hook {
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    action: String,
    #[serde(default)]
    elapsed_seconds: u64,
}

#[derive(Default, Deserialize)]
struct Resource {
    #[serde(default)]
    addr: String,
}

/// An error or a warning.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    pub(super) detail: String,
    address: Option<String>,
}

impl<'a> Terraform<'a> {
    /// The program that is there. Failures: neither is.
    pub(super) fn find(folder: &'a Path, output: &'a Output) -> Result<Self, Failure> {
        let program = installed()?;
        let plan = format!("isobar-{}.tfplan", std::process::id());
        Ok(Self { program, folder, plan, output })
    }

    pub(super) fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Installs the plug-ins, if the folder has none of these versions.
    pub(super) async fn init(&self) -> Result<(), Failure> {
        let versions = std::fs::read(self.folder.join("main.tf")).unwrap_or_default();
        let (state, known) = (self.folder.join(".terraform"), self.folder.join(".terraform/isobar-versions"));
        // A backend is the user's, and may have changed.
        let files = std::fs::read_dir(self.folder).into_iter().flatten().flatten();
        let mut files = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|it| it == "tf"));
        let has_backend = files.any(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines().any(|line| ["backend ", "cloud "].iter().any(|start| line.trim_start().starts_with(start)))
        });
        if state.join("providers").is_dir() && !has_backend && std::fs::read(&known).is_ok_and(|it| it == versions) {
            return Ok(());
        }
        self.output.step("Preparing", &format!("{} in {}", self.name(), self.folder.display()));
        let ran = self.run(&["init", "-input=false", "-no-color"]).await?;
        ran.check("the plug-ins of Terraform cannot be installed")?;
        // Only saves time: without the file the next call prepares again.
        let _ = std::fs::write(known, versions);
        Ok(())
    }

    /// Compares the stage with what exists.
    pub(super) async fn plan(&self, args: &[&str]) -> Result<Plan, Failure> {
        self.output.step("Comparing", "the stage with what exists");
        let out = format!("-out={}", self.plan);
        let ran = self.run(&[&["plan", "-input=false", "-no-color", &out], args].concat()).await?;
        ran.check("the plan cannot be made")?;
        let json = self.run(&["show", "-json", &self.plan]).await?;
        json.check("the plan cannot be read")?;
        Plan::read(&json.stdout)
    }

    /// Keeps a resource whose creation was interrupted, which Terraform would replace.
    pub(super) async fn keep(&self, address: &str) -> Result<(), Failure> {
        let ran = self.run(&["untaint", "-no-color", address]).await?;
        ran.check(&format!("{address} cannot be kept"))
    }

    /// Applies the last plan, and prints each resource that is done. The errors are those of the platform.
    pub(super) async fn apply(&self) -> Result<(Ran, Vec<Diagnostic>), Failure> {
        let mut errors = Vec::new();
        let ran = self
            .run_with(&["apply", "-input=false", "-json", &self.plan], |line| {
                let Ok(event) = serde_json::from_str::<Event>(line) else { return };
                self.progress(&event);
                errors.extend(event.diagnostic.filter(|it| it.severity == "error"));
            })
            .await?;
        Ok((ran, errors))
    }

    fn progress(&self, event: &Event) {
        let (done, doing) = match event.hook.action.as_str() {
            "create" => ("Created", "Creating"),
            "update" => ("Changed", "Changing"),
            "delete" => ("Deleted", "Deleting"),
            "replace" => ("Replaced", "Replacing"),
            _ => return,
        };
        let (name, seconds) = (&event.hook.resource.addr, event.hook.elapsed_seconds);
        match event.r#type.as_str() {
            "apply_complete" if seconds < 2 => self.output.step(done, name),
            "apply_complete" => self.output.step(done, &format!("{name} in {seconds} s")),
            // The first ten seconds are silent.
            "apply_progress" if seconds % 30 == 0 => self.output.step(doing, &format!("{name}, {seconds} s so far")),
            _ => {}
        }
    }

    /// The outputs of the stage, by name. Failures: none is deployed.
    pub(super) async fn outputs(&self) -> Result<Outputs, Failure> {
        let ran = self.run(&["output", "-json", "-no-color"]).await?;
        ran.check("the outputs cannot be read")?;
        let outputs: Outputs = serde_json::from_str(&ran.stdout)
            .map_err(|error| Failure::new("the outputs of Terraform are not known").because(&error))?;
        let value = |(name, mut output): (String, Value)| (name, output["value"].take());
        Ok(outputs.into_iter().map(value).collect())
    }

    async fn run(&self, args: &[&str]) -> Result<Ran, Failure> {
        let mut stdout = String::new();
        let ran = self.run_with(args, |line| {
            stdout.push_str(line);
            stdout.push('\n');
        });
        let mut ran = ran.await?;
        ran.stdout = stdout;
        Ok(ran)
    }

    /// Runs the program. Ctrl-C interrupts it, so that it stores its state and gives its lock back, and this waits for that.
    async fn run_with(&self, args: &[&str], mut line: impl FnMut(&str)) -> Result<Ran, Failure> {
        let failed = |error: &std::io::Error| Failure::new(format!("{} cannot be run", self.name())).because(error);
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1");
        // A group of its own: a terminal sends Ctrl-C to the whole group, and a second one would end it without its state.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stderr = tokio::spawn(async move {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                // What was read before an error is the reason too.
                let _ = stderr.read_to_end(&mut text).await;
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut is_interrupted = false;
        if let Some(stdout) = stdout {
            let mut reader = BufReader::new(stdout).lines();
            loop {
                tokio::select! {
                    next = reader.next_line() => match next {
                        Ok(Some(text)) => line(&text),
                        _ => break,
                    },
                    _ = tokio::signal::ctrl_c() => {
                        is_interrupted = true;
                        self.output.step("Stopping", &format!("{}, which stores what it has done", self.name()));
                        interrupt(&child);
                    }
                }
            }
        }
        let status = child.wait().await.map_err(|error| failed(&error))?;
        let stderr = stderr.await.unwrap_or_default();
        Ok(Ran { status, stdout: String::new(), stderr, is_interrupted })
    }
}

impl Drop for Terraform<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.folder.join(&self.plan));
    }
}

/// Sends SIGINT.
fn interrupt(child: &Child) {
    if let Some(id) = child.id() {
        let _ = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status();
    }
}

impl Ran {
    pub(super) fn is_ok(&self) -> bool {
        self.status.success()
    }

    pub(super) fn errors(&self) -> &str {
        &self.stderr
    }

    /// Failures: the run failed, or was interrupted.
    fn check(&self, message: &str) -> Result<(), Failure> {
        match (self.is_interrupted, self.is_ok()) {
            (true, _) => Err(Failure::interrupted()),
            (_, true) => Ok(()),
            _ => Err(explained(message, &self.stderr)),
        }
    }
}

impl Diagnostic {
    /// Can it be that a role assignment is not known everywhere yet?
    pub(super) fn is_of_new_role(&self) -> bool {
        let text = format!("{} {}", self.summary, self.detail);
        ["AuthorizationFailed", "AuthorizationPermissionMismatch", "status 403", "StatusCode=403", "403 Forbidden"]
            .iter()
            .any(|reason| text.contains(reason))
    }

    /// The error in one text.
    pub(super) fn text(&self) -> String {
        let detail = self.detail.trim().lines().next().unwrap_or_default();
        let address = self.address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
        match detail {
            "" => format!("{address}{}", self.summary),
            detail => format!("{address}{}: {detail}", self.summary),
        }
    }
}

/// The failure of a run, with the next step where the reason is known.
pub(super) fn explained(message: &str, reason: &str) -> Failure {
    let failure = Failure::new(format!("{message}\n{}", reason.trim()));
    let known = [
        (
            "No valid credential sources found",
            "log in: `aws configure`, `aws sso login`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        ("could not find default credentials", "log in: gcloud auth application-default login"),
        ("AzureCli Authorizer", "install the Azure CLI and log in: az login"),
        ("Please run 'az login'", "log in: az login"),
        (
            "Backend configuration changed",
            "the state must move to the new backend: terraform init -migrate-state, in the folder of the stage",
        ),
        (
            "Backend initialization required",
            "the state must move to the new backend: terraform init -migrate-state, in the folder of the stage",
        ),
        (
            "Error acquiring the state lock",
            "another command works on this stage; if none does: terraform force-unlock ID, in the folder of the stage",
        ),
        ("BucketAlreadyExists", "another account has a bucket of this name: use another stage"),
        (
            "AlreadyExists",
            "a resource of this name exists and is not of this stage: use another stage, delete it, or `terraform import` it in the folder",
        ),
        (
            "already exists",
            "a resource of this name exists and is not of this stage: use another stage, delete it, or `terraform import` it in the folder",
        ),
        (
            "allowedPolicyMemberDomains",
            "a policy of the organisation forbids public services: it needs an exception for the project (constraints/iam.allowedPolicyMemberDomains)",
        ),
        ("AccessDenied", "the account that you are logged in with may not do this"),
        (
            "AuthorizationFailed",
            "the account that you are logged in with may not do this; new role assignments need some minutes",
        ),
        (
            "Failed to query available provider packages",
            "the plug-ins are downloaded from registry.terraform.io: check the network, or name a mirror in TF_CLI_CONFIG_FILE",
        ),
        ("connect: connection refused", "a service does not answer; if it is the emulator, it has ended: deploy again"),
        ("ExpiredToken", "log in again"),
    ];
    match known.iter().find(|(text, _)| reason.contains(text)) {
        Some((_, hint)) => failure.hint(*hint),
        None => failure,
    }
}
