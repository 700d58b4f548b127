//! `isobar deploy`, `destroy`, `outputs`, `url`, `logs` and `invoke`: a stage of an app in a cloud, by Terraform and the cloud's own
//! command.

mod aws;
mod azure;
mod emulator;
mod gcp;
mod http;
mod line;
mod logs;
mod plan;
mod provider;
mod secret;
mod stage;
mod terraform;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use isobar::manifest::Manifest;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::config;
use crate::failure::Failure;
use crate::output::Output;
use crate::package::{self, BuildArgs, CloudTarget, Texts};
use crate::prompt;
#[cfg(feature = "moving")]
pub(crate) use emulator::EmulatorName;
use plan::Plan;
pub(crate) use provider::services;
#[cfg(feature = "moving")]
pub(crate) use provider::without_places;
pub(crate) use secret::SecretStore;
use stage::Stage;
pub(crate) use stage::{CloudArgs, FolderArgs};
use terraform::{Diagnostic, Terraform, explained};

/// The outputs of a stage, by name.
type Outputs = Map<String, Value>;

/// The option that removes the protection of data.
const UNPROTECTED: &str = "-var=protect_data=false";

/// The files of the last deployment, in the folder of what Terraform itself stores.
const APPLIED: &str = ".terraform/isobar-applied";

/// Why a deployment waits.
const NEW_ROLES: &str =
    "new role assignments are not known everywhere yet: trying again in 30 s, for at most 10 minutes";

#[derive(Debug, Args)]
#[command(
    after_help = "The folder of the stage is what `isobar package` writes, with the state of Terraform: keep it. Credentials are those of \
                  the cloud's own tools. A stage on Azure or Google was not tried on a real account yet.\n\nExamples:\n  isobar deploy \
                  --target aws --emulator ministack\n  isobar deploy --target aws --stage prod --plan"
)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    build: BuildArgs,
    /// Show what would change, and change nothing
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isobar destroy --target aws --emulator ministack\n  isobar destroy --target aws --stage test --destroy-data shop-test"
)]
pub(crate) struct DestroyArgs {
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
struct Consent {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Delete tables and buckets with their data, where the plan does; the value is the name of the stage, such as shop-dev
    #[arg(long, value_name = "STAGE")]
    destroy_data: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OutputsArgs {
    #[command(flatten)]
    folder: FolderArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isobar logs --target aws\n  isobar logs -f --target aws --emulator ministack")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Print new lines as they arrive
    #[arg(short, long)]
    follow: bool,
    /// Begin this long before now: 30s, 10m, 2h or 1d
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = since, allow_hyphen_values = true)]
    since: Duration,
}

pub(crate) async fn deploy(args: &DeployArgs, output: &Output) -> Result<ExitCode, Failure> {
    if !args.plan {
        args.consent.check()?;
    }
    // Before the build, which takes minutes.
    terraform::installed()?;
    let stage = Stage::make(&args.folder, &args.build, output)?;
    let terraform = Terraform::find(&stage.folder, output)?;
    terraform.init().await?;
    args.consent.check_name(&stage)?;
    let mut plan = terraform.plan(&[]).await?;
    let unfinished = plan.unfinished_data();
    // That changes the state, so it is no part of a plan.
    if !unfinished.is_empty() && !args.plan {
        for address in unfinished {
            terraform.keep(address).await?;
        }
        plan = terraform.plan(&[]).await?;
    }
    plan.print(output);
    if args.plan {
        if output.json {
            output.document(&json!({"stage": stage.name, "changes": plan.rows()}))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let has_changes = plan.has_changes();
    if has_changes || stage.target == CloudTarget::Azure {
        check_data(&plan, &stage, &args.consent)?;
        if !args.consent.agree(&format!("Deploy {} to {}?", stage.name, stage.place()), output).await? {
            return Ok(ExitCode::FAILURE);
        }
    }
    if has_changes {
        // A service cannot run an image that is not there.
        if stage.target == CloudTarget::Gcp {
            gcp::publish(&stage, output).await?;
        }
        if !plan.lost_data().is_empty() && !stage.is_emulated() {
            unprotect(&terraform, &stage, &plan, output).await?;
            check_agreed(&terraform.plan(&[]).await?, &plan)?;
        }
        apply_all(&terraform, &stage, &[], &plan, output).await?;
    }
    let stored = Texts::read(&stage.folder).store(&stage.folder.join(APPLIED));
    stored.map_err(|error| Failure::new("the files of the deployment cannot be stored").because(&error))?;
    let outputs = terraform.outputs().await?;
    if stage.target == CloudTarget::Azure {
        azure::publish(&stage, &outputs, output).await?;
    }
    report(&stage, &outputs, output)?;
    if plan.makes_app() {
        stage.name_secrets(output)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Applies the last plan. Failures: an error of the platform, or Ctrl-C.
async fn apply_all(
    terraform: &Terraform<'_>,
    stage: &Stage,
    values: &[&str],
    agreed: &Plan,
    output: &Output,
) -> Result<(), Failure> {
    let (mut ran, mut errors) = terraform.apply().await?;
    let mut retries = stage.retries();
    while !ran.is_ok() && !ran.is_interrupted && errors.iter().all(Diagnostic::is_of_new_role) && !errors.is_empty() {
        let Some(pause) = retries.next() else { break };
        output.step("Waiting", NEW_ROLES);
        tokio::time::sleep(pause).await;
        check_agreed(&terraform.plan(values).await?, agreed)?;
        (ran, errors) = terraform.apply().await?;
    }
    if ran.is_interrupted {
        output.warning("what was done until now is in the state; the next command continues from there");
        return Err(Failure::interrupted());
    }
    if ran.is_ok() {
        return Ok(());
    }
    let texts: Vec<String> = errors.iter().map(Diagnostic::text).collect();
    let text = if texts.is_empty() { ran.errors().trim().to_owned() } else { texts.join("\n") };
    if text.is_empty() {
        return Err(Failure::new(format!("{} was ended before it was done", terraform.name()))
            .hint("run the command again: it compares the state with what exists"));
    }
    Err(explained("the deployment failed; what was done is in the state", &text))
}

/// Removes the protection of what a plan deletes. Only the files of the last deployment know a resource that the app does not
/// declare any more, so they are there again meanwhile.
async fn unprotect(terraform: &Terraform<'_>, stage: &Stage, agreed: &Plan, output: &Output) -> Result<(), Failure> {
    let now = Texts::read(&stage.folder);
    let applied = Texts::read(&stage.folder.join(APPLIED));
    if applied.is_empty() {
        // Another machine has deployed last. The service itself then says what is protected.
        return Ok(());
    }
    now.replace(&stage.folder, &applied)?;
    let targets: Vec<String> = agreed.lost_data().iter().map(|address| format!("-target={address}")).collect();
    let targets: Vec<&str> = std::iter::once(UNPROTECTED).chain(targets.iter().map(String::as_str)).collect();
    let removed = async {
        let plan = terraform.plan(&targets).await?;
        check_agreed(&plan, agreed)?;
        match plan.has_changes() {
            true => apply_all(terraform, stage, &targets, agreed, output).await,
            false => Ok(()),
        }
    };
    let removed = removed.await;
    applied.replace(&stage.folder, &now)?;
    removed
}

/// Failures: a plan that is made after the consent deletes more.
fn check_agreed(plan: &Plan, agreed: &Plan) -> Result<(), Failure> {
    match plan.is_as_agreed(agreed) {
        true => Ok(()),
        false => {
            Err(Failure::new("the stage was changed meanwhile").hint("run the command again, and look at its plan"))
        }
    }
}

/// Failures: the plan deletes data, and the command does not name the stage.
fn check_data(plan: &Plan, stage: &Stage, consent: &Consent) -> Result<(), Failure> {
    let lost = plan.lost_data();
    match lost.is_empty() || stage.is_emulated() || consent.destroy_data.is_some() {
        true => Ok(()),
        false => Err(Failure::new(format!("data would be deleted with {}", lost.join(", ")))
            .hint(format!("to delete the data too: --destroy-data {}", stage.name))),
    }
}

pub(crate) async fn destroy(args: &DestroyArgs, output: &Output) -> Result<ExitCode, Failure> {
    args.consent.check()?;
    let stage = Stage::find(&args.folder)?;
    args.consent.check_name(&stage)?;
    let terraform = Terraform::find(&stage.folder, output)?;
    terraform.init().await?;
    let consent = &args.consent;
    let unprotected: &[&str] = if consent.destroy_data.is_some() { &[UNPROTECTED] } else { &[] };
    let values = [&["-destroy"], unprotected].concat();
    let plan = terraform.plan(&values).await?;
    plan.print(output);
    if !plan.rows().is_empty() {
        check_data(&plan, &stage, consent)?;
        if !consent.agree(&format!("Destroy {} on {}?", stage.name, stage.place()), output).await? {
            return Ok(ExitCode::FAILURE);
        }
        // The services protect what holds data by switches of their own, which must be off before.
        if !unprotected.is_empty() {
            let switches = terraform.plan(unprotected).await?;
            check_agreed(&switches, &plan)?;
            if switches.has_changes() {
                apply_all(&terraform, &stage, unprotected, &plan, output).await?;
            }
            check_agreed(&terraform.plan(&values).await?, &plan)?;
        }
        apply_all(&terraform, &stage, &values, &plan, output).await?;
    }
    if stage.target == CloudTarget::Gcp {
        gcp::end(&stage, output).await?;
    }
    stage.end(output);
    output.step("Destroyed", &format!("{} on {}", stage.name, stage.place()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn outputs(args: &OutputsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let (_, outputs) = outputs_of(&args.folder, output).await?;
    if output.json {
        output.document(&outputs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows: Vec<_> = outputs.iter().map(|(name, value)| [name.clone(), text(value)]).collect();
    output.table(["NAME", "VALUE"], &rows);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn url(args: &OutputsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let (stage, outputs) = outputs_of(&args.folder, output).await?;
    let none = || Failure::new(format!("the app of {} serves no HTTP", stage.name));
    output.line(outputs.get("url").and_then(Value::as_str).ok_or_else(none)?);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn logs(args: &LogsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let (stage, outputs) = outputs_of(&args.folder, output).await?;
    logs::print(&stage, &outputs, args, output).await
}

/// Calls a function of a deployed stage, and returns its answer.
pub(crate) async fn invoke(
    args: &FolderArgs,
    function: &str,
    request: &[u8],
    output: &Output,
) -> Result<Vec<u8>, Failure> {
    let (stage, outputs) = outputs_of(args, output).await?;
    match stage.target {
        CloudTarget::Aws => aws::invoke(&stage, &outputs, function, request).await,
        CloudTarget::Azure => azure::invoke(&outputs, function, request).await,
        CloudTarget::Gcp => gcp::invoke(&stage, &outputs, function, request).await,
    }
}

/// What a stage declares; `None` where there is no folder of it.
pub(crate) fn manifest_of(args: &FolderArgs) -> Result<Option<Manifest>, Failure> {
    match Stage::exists(args)? {
        true => package::manifest_of(&Stage::find(args)?.folder).map(Some),
        false => Ok(None),
    }
}

/// The variables that find the data of a stage; `None` where there is no folder of it.
async fn data_of(args: &FolderArgs, output: &Output) -> Result<Option<Vec<(String, String)>>, Failure> {
    if !Stage::exists(args)? {
        return Ok(None);
    }
    let (stage, outputs) = outputs_of(args, output).await?;
    let older = || Failure::new(format!("{} was deployed by an older isobar", stage.name)).hint(stage.deploy_hint());
    let data = outputs.get("data").and_then(Value::as_object).ok_or_else(older)?;
    let mut variables: Vec<(String, String)> =
        data.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let region = outputs.get("region").and_then(Value::as_str).unwrap_or_default();
    variables.extend(stage.emulated(region).into_iter().map(|(name, value)| (name.to_owned(), value)));
    Ok(Some(variables))
}

async fn outputs_of(args: &FolderArgs, output: &Output) -> Result<(Stage, Outputs), Failure> {
    let stage = Stage::find(args)?;
    let outputs = Terraform::find(&stage.folder, output)?.outputs().await?;
    match outputs.is_empty() {
        true => {
            Err(Failure::new(format!("{} is not deployed on {}", stage.name, stage.place())).hint(stage.deploy_hint()))
        }
        false => Ok((stage, outputs)),
    }
}

/// An output of a stage that is a text.
fn text<'a>(outputs: &'a Outputs, name: &str) -> Result<&'a str, Failure> {
    let missing = || Failure::new(format!("the stage has no output `{name}`")).hint("deploy it again: isobar deploy");
    outputs.get(name).and_then(Value::as_str).ok_or_else(missing)
}

/// What is there after a deployment.
fn report(stage: &Stage, outputs: &Outputs, output: &Output) -> Result<(), Failure> {
    let url = outputs.get("url").and_then(Value::as_str);
    if output.json {
        return output.document(&json!({"stage": stage.name, "folder": stage.folder, "outputs": outputs}));
    }
    output.step("Deployed", &format!("{} to {}", stage.name, stage.place()));
    if let Some(url) = url {
        output.line(url);
    }
    Ok(())
}

/// The program of a cloud. Failures: it is not installed.
fn command(name: &str, install: &str) -> Result<PathBuf, Failure> {
    config::program(name)
        .ok_or_else(|| Failure::new(format!("`{name}` is not installed")).hint(format!("install it: {install}")))
}

/// What a program prints. Failures: its own error, or Ctrl-C.
async fn ran(command: &mut Command, message: &str) -> Result<Vec<u8>, Failure> {
    #[cfg(unix)]
    command.process_group(0);
    command.kill_on_drop(true);
    let ran = tokio::select! {
        ran = command.output() => ran.map_err(|error| Failure::new(message).because(&error))?,
        _ = tokio::signal::ctrl_c() => return Err(Failure::interrupted()),
    };
    match ran.status.success() {
        true => Ok(ran.stdout),
        false => Err(explained(message, &String::from_utf8_lossy(&ran.stderr))),
    }
}

/// A time such as `10m`.
fn since(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    });
    seconds.map(Duration::from_secs).ok_or_else(|| "use 30s, 10m, 2h or 1d".to_owned())
}

impl Consent {
    /// Failures: the command must ask, and there is no terminal.
    fn check(&self) -> Result<(), Failure> {
        if self.yes { Ok(()) } else { prompt::check_terminal(prompt::SEE_PLAN) }
    }

    /// Failures: the name that guards the data is that of another stage.
    fn check_name(&self, stage: &Stage) -> Result<(), Failure> {
        match &self.destroy_data {
            Some(name) if *name != stage.name => Err(Failure::new(format!("`{name}` is not the name of this stage"))
                .hint(format!("to delete its data: --destroy-data {}", stage.name))),
            _ => Ok(()),
        }
    }

    /// May the command continue?
    async fn agree(&self, question: &str, output: &Output) -> Result<bool, Failure> {
        if self.yes {
            return Ok(true);
        }
        prompt::consent(question, output).await
    }
}
