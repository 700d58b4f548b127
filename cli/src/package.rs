//! `isobar package`: what a deployment of the app needs, as a folder that does not need isobar.
//!
//! A folder has the artefact, Terraform for everything that the manifest declares, and a README. The same app gives the same
//! bytes. Files of the user, `terraform.tfvars` and `custom.tf`, are written once and never again.

mod aws;
mod azure;
mod binary;
mod files;
mod gcp;
mod github;
mod oci;
mod push;
mod template;
mod zip;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum, ValueHint};
use isobar::EventQueue;
use isobar::config::ISOBAR_SECRETS;
use isobar::driver::{Derived, Environment, ISOBAR_STAGE, Permission, ResourceKind, check_prefix};
use isobar::manifest::{Manifest, Trigger};
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::project::{PackageArgs, Project, read_manifest};
use crate::target::{Deployed, Target};
use files::Files;

pub(crate) use files::{MARK, Mark, Texts, replace};
pub(crate) use push::push;

/// The stage without `--stage` and `ISOBAR_STAGE`.
pub(crate) const DEFAULT_STAGE: &str = "dev";

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CloudTarget {
    Aws,
    Azure,
    Gcp,
}

/// Which app, which cloud, which stage.
#[derive(Debug, Clone, Args)]
pub(crate) struct StageArgs {
    /// The cloud
    #[arg(short, long, value_name = "NAME", value_enum)]
    pub(crate) target: CloudTarget,
    /// The stage, which is a part of the names of all resources [default: that of ISOBAR_STAGE, else dev]
    #[arg(long, value_name = "NAME", value_parser = stage_name)]
    pub(crate) stage: Option<String>,
    #[command(flatten)]
    pub(crate) package: PackageArgs,
}

/// How the artefact is made.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BuildArgs {
    /// The region of a new stage [default: that of AWS_REGION, or us-east-1, westeurope, europe-west1]
    #[arg(long, value_name = "NAME", value_parser = region)]
    pub(crate) region: Option<String>,
    /// Make a function of its own for each kind of trigger
    #[arg(long)]
    pub(crate) split: bool,
    /// Build for the processors of AWS's Graviton, with `cargo zigbuild`
    #[arg(long)]
    pub(crate) arm64: bool,
    /// Link the C library of the platform in place of a static one
    #[arg(long)]
    pub(crate) dynamic: bool,
    /// Package this program, and build nothing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) binary: Option<PathBuf>,
    /// The profile of cargo
    #[arg(long, value_name = "NAME", default_value = "release")]
    pub(crate) profile: String,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The folder has the artefact, Terraform and a README that explains how to continue without isobar. `terraform.tfvars` and \
                  `custom.tf` are yours: they are written once. Nothing is called.\n\nExamples:\n  isobar package --target aws\n  isobar package \
                  --target gcp --stage prod -o infra"
)]
pub(crate) struct PackageCommand {
    #[command(flatten)]
    stage: StageArgs,
    #[command(flatten)]
    build: BuildArgs,
    /// The folder [default: deploy/TARGET-STAGE in the folder of the app]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write a workflow too that deploys the stage after each push
    #[arg(long, value_name = "NAME", value_enum)]
    ci: Option<Ci>,
}

/// A service that runs workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ci {
    Github,
}

pub(crate) fn run(args: &PackageCommand, output: &Output) -> Result<ExitCode, Failure> {
    let project = Project::find(&args.stage.package)?;
    let stage = args.stage.name();
    let folder = args.output.clone().unwrap_or_else(|| default_folder(&project, args.stage.target, &stage));
    let made = make(&project, &args.stage, &args.build, &folder, output)?;
    if args.ci == Some(Ci::Github) {
        match github::write(&project, args.stage.target, &stage, &folder, &made)? {
            (workflow, true) => output.step("Wrote", &format!("{}; read its first lines", workflow.display())),
            (workflow, false) => output.step("Kept", &format!("{}, which is yours", workflow.display())),
        }
    }
    for permission in &made.wider {
        output.note(&format!("note: {permission}"));
    }
    if output.json {
        output.document(&json!({"app": made.manifest.app, "stage": stage, "folder": folder, "files": made.names}))?;
    } else {
        output.step("Packaged", &format!("{} in {}", made.manifest.app, folder.display()));
        output.line(&folder.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of a stage.
pub(crate) fn default_folder(project: &Project, target: CloudTarget, stage: &str) -> PathBuf {
    project.folder.join("deploy").join(format!("{}-{stage}", target.name()))
}

/// The manifest of a folder.
pub(crate) fn manifest_of(folder: &Path) -> Result<Manifest, Failure> {
    let path = folder.join("manifest.json");
    let failed = || Failure::new(format!("{} cannot be read", path.display()));
    let text = std::fs::read(&path).map_err(|error| failed().because(&error))?;
    let again = "package the app again: isobar package";
    read_manifest(&text, &format!("{} is not a manifest of isobar", path.display()), again)
}

/// Failures: the folder is of another app, whose resources the next deployment would delete.
fn check_app(manifest: &Manifest, folder: &Path) -> Result<(), Failure> {
    let before = manifest_of(folder)?.app;
    match before == manifest.app {
        true => Ok(()),
        false => Err(Failure::new(format!("{} is of the app `{before}`, not `{}`", folder.display(), manifest.app))
            .hint("destroy that stage first, or choose another folder with -o")),
    }
}

/// What a permission is for, and why it allows more than the app declares.
fn described(permission: &Permission) -> String {
    match permission.wider {
        Some(wider) => format!("{}. It allows more than the app declares: {wider}", permission.purpose),
        None => permission.purpose.clone(),
    }
}

/// What was packaged.
pub(crate) struct Made {
    pub(crate) manifest: Manifest,
    names: Vec<String>,
    /// The permissions that allow more than the app declares.
    wider: Vec<String>,
}

/// Builds the app, and writes its folder. Failures leave the folder as it was.
pub(crate) fn make(
    project: &Project,
    stage: &StageArgs,
    build: &BuildArgs,
    folder: &Path,
    output: &Output,
) -> Result<Made, Failure> {
    let (target, name) = (stage.target, stage.name());
    let mut mark = Mark::new(target.name(), &name);
    mark.check(folder)?;
    // What the stage is made of stays, unless an option changes it.
    let before = Mark::read(folder)?;
    let is = |option: bool, of: fn(&Mark) -> bool| option || before.as_ref().is_some_and(of);
    let build = &BuildArgs {
        split: is(build.split, |mark| mark.split),
        arm64: is(build.arm64, |mark| mark.arm64),
        ..build.clone()
    };
    (mark.split, mark.arm64) = (build.split, build.arm64);
    match target {
        CloudTarget::Aws => {}
        CloudTarget::Azure => azure::check(build)?,
        CloudTarget::Gcp => gcp::check(build)?,
    }
    let binary = binary::build(project, target, build, output)?;
    let manifest = binary.manifest.clone();
    if before.is_some() {
        check_app(&manifest, folder)?;
    }
    let process = isobar::config::environment();
    let deployed = Deployed::open(target.target(), &process, &manifest.app, Some(&name))?;
    crate::check::refuse(&manifest, &deployed, output)?;
    let prefix = deployed.provider.prefix().get()?;
    let stack =
        Stack { manifest: &manifest, deployed: &deployed, stage: &name, prefix, build, process: &process, folder };
    let mut files = Files::new(&mark, &manifest)?;
    match target {
        CloudTarget::Aws => aws::write(&stack, &binary, &mut files)?,
        CloudTarget::Gcp => gcp::write(&stack, &binary, &mut files)?,
        CloudTarget::Azure => azure::write(&stack, &binary, &mut files)?,
    }
    let permissions = deployed.permissions(&manifest)?;
    let wider = permissions.iter().filter(|permission| permission.wider.is_some()).map(described).collect();
    let names = files.write(folder)?;
    Ok(Made { manifest, names, wider })
}

/// A function or a service, and the triggers that call it.
struct Group {
    /// Its name in Terraform: `app`, or `messages` in a split stage.
    id: &'static str,
    /// Its name in the cloud.
    name: String,
    /// The end of the names of its variables: nothing, or `_messages`.
    end: String,
    manifest: Manifest,
}

/// Is a trigger of a group?
type IsOf = fn(&Trigger) -> bool;

/// The kinds of triggers, by the names of their groups.
const GROUPS: [(&str, IsOf); 6] = [
    ("http", |trigger| matches!(trigger, Trigger::Http)),
    ("messages", |trigger| matches!(trigger, Trigger::Message(_))),
    ("objects", |trigger| matches!(trigger, Trigger::Object(_))),
    ("writes", |trigger| matches!(trigger, Trigger::Write(_))),
    ("schedules", |trigger| matches!(trigger, Trigger::Schedule(_))),
    ("invokes", |trigger| matches!(trigger, Trigger::Function(_))),
];

/// The longest name of a bucket on AWS and Google Cloud.
const BUCKET: usize = 63;

/// The group that has such triggers.
fn group_of(groups: &[Group], has: impl Fn(&Manifest) -> bool) -> &Group {
    let found = groups.iter().find(|group| has(&group.manifest));
    found.unwrap_or(&groups[0])
}

/// The name of what the queues of a source have in common, without the prefix, such as `pages--events`.
fn source_of(queue: &EventQueue) -> String {
    match queue.kind() {
        ResourceKind::Bucket => Derived::Events.of(queue.source()),
        ResourceKind::Table => Derived::Writes.of(queue.source()),
        _ => queue.source().to_owned(),
    }
}

/// What the files of a stage are made from.
struct Stack<'a> {
    manifest: &'a Manifest,
    deployed: &'a Deployed,
    stage: &'a str,
    /// The beginning of the names of resources, such as `shop-dev-`.
    prefix: String,
    build: &'a BuildArgs,
    process: &'a Environment,
    folder: &'a Path,
}

impl Stack<'_> {
    /// The name of the stage in its cloud, such as `shop-dev`.
    fn name(&self) -> &str {
        self.prefix.trim_end_matches('-')
    }

    /// One group of all triggers, or one for each kind. Failures: there is nothing to split.
    fn groups(&self) -> Result<Vec<Group>, Failure> {
        let manifest = self.manifest;
        if !self.build.split {
            let (name, end) = (self.name().to_owned(), String::new());
            return Ok(vec![Group { id: "app", name, end, manifest: manifest.clone() }]);
        }
        let of = |(id, is_of): (&'static str, IsOf)| {
            let triggers: Vec<Trigger> = manifest.triggers.iter().filter(|trigger| is_of(trigger)).cloned().collect();
            let part = Manifest::new(&manifest.app).with_resources(manifest.resources.clone());
            let (name, end) = (format!("{}{id}", self.prefix), format!("_{id}"));
            (!triggers.is_empty()).then(|| Group { id, name, end, manifest: part.with_triggers(triggers) })
        };
        let groups: Vec<_> = GROUPS.into_iter().filter_map(of).collect();
        match groups.is_empty() {
            false => Ok(groups),
            true => {
                Err(Failure::new(format!("the app `{}` has no trigger, so there is nothing to split", manifest.app))
                    .hint("package it without --split"))
            }
        }
    }

    /// The variables that place resources elsewhere, which the deployed app needs too.
    fn placed(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_place = |name: &str| {
            name == ISOBAR_SECRETS || ResourceKind::OWN.iter().any(|kind| name.starts_with(&kind.variable_prefix()))
        };
        let is_local = |url: &str| {
            url.split_once("://").is_none_or(|(scheme, _)| isobar::local::ADAPTER.schemes.contains(&scheme))
        };
        let variables = self.process.vars_with_prefix("");
        variables.filter(move |(name, url)| is_place(name) && !is_local(url))
    }

    /// The resources of a kind that the stage makes.
    fn made(&self, kind: ResourceKind) -> impl Iterator<Item = &str> {
        let names = self.manifest.of_kind(kind).map(|resource| resource.name.as_str());
        names.filter(move |name| !self.is_placed(kind, name))
    }

    fn makes(&self, kind: ResourceKind) -> bool {
        self.made(kind).next().is_some()
    }

    /// The queues of all triggers, each with its name without the prefix, such as `pages--events--thumbs`. Failures: the source of
    /// one is made elsewhere.
    fn queues(&self) -> Result<Vec<(EventQueue, String)>, Failure> {
        let of = |(queue, _): (EventQueue, _)| {
            let (kind, source) = (queue.kind(), queue.source());
            if self.is_placed(kind, source) {
                return Err(Failure::new(format!("{kind} `{source}` is made elsewhere, and has a trigger")).hint(
                    format!("unset {}: isobar makes triggers of its own resources only", kind.variable(source)),
                ));
            }
            let name = queue.physical(&source_of(&queue));
            Ok((queue, name))
        };
        self.manifest.queues().map(of).collect()
    }

    /// The name of a bucket as an expression of Terraform. Names of buckets are global, so the number of the account, which has at most
    /// so many digits, is a part of it.
    fn bucket(&self, name: &str, number: &str, digits: usize) -> String {
        // A prefix has at most 20 characters.
        let room = BUCKET.saturating_sub(digits + 1 + self.prefix.len());
        let short = match name.len() <= room {
            true => name.to_owned(),
            false => {
                let hash = oci::digest(name.as_bytes());
                let start: String = name.chars().take(room.saturating_sub(7)).collect();
                format!("{start}-{}", &hash[hash.len() - 6..])
            }
        };
        format!("\"${{local.prefix}}{short}-${{{number}}}\"")
    }

    /// Is a resource made elsewhere? Its variable is set.
    fn is_placed(&self, kind: ResourceKind, name: &str) -> bool {
        let variable = kind.variable(name);
        self.placed().any(|(name, _)| name == variable)
    }
}

fn region(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !text.is_empty() && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("a region has only a-z, 0-9 and -, such as eu-west-1".to_owned()),
    }
}

/// A stage. The name of the app, which is not known here, can leave less room.
pub(crate) fn stage_name(text: &str) -> Result<String, String> {
    match !text.is_empty() && !text.starts_with('-') && check_prefix(ISOBAR_STAGE, &format!("a-{text}-")).is_ok() {
        true => Ok(text.to_owned()),
        false => Err("a stage has at most 17 of a-z, 0-9 and single -, such as prod".to_owned()),
    }
}

impl StageArgs {
    pub(crate) fn name(&self) -> String {
        let of_process = || isobar::config::environment().var(ISOBAR_STAGE).map(str::to_owned);
        self.stage.clone().or_else(of_process).unwrap_or_else(|| DEFAULT_STAGE.to_owned())
    }
}

impl CloudTarget {
    pub(crate) fn target(self) -> Target {
        match self {
            Self::Aws => Target::Aws,
            Self::Azure => Target::Azure,
            Self::Gcp => Target::Gcp,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.target().name()
    }
}
