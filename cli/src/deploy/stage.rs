//! A stage: its folder, and where it is.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use isobar::driver::ResourceKind;

use super::emulator::{Emulator, EmulatorName};
use crate::failure::Failure;
use crate::output::Output;
use crate::package::{self, BuildArgs, CloudTarget, Mark, StageArgs};
use crate::project::{PackageArgs, Project};

/// Which stage, and its folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct FolderArgs {
    #[command(flatten)]
    pub(crate) stage: StageArgs,
    /// Use this emulator in place of an account; it is installed in the folder of cargo's output
    #[arg(long, value_name = "NAME", value_enum)]
    emulator: Option<EmulatorName>,
    /// The folder [default: deploy/TARGET-STAGE in the folder of the app]
    #[arg(short, long, value_name = "DIR", conflicts_with = "emulator")]
    output: Option<PathBuf>,
}

/// The options of a command that works on this machine without them.
#[derive(Debug, Clone, Args)]
pub(crate) struct CloudArgs {
    /// A stage in this cloud, not this machine
    #[arg(short, long, value_name = "NAME", value_enum)]
    target: Option<CloudTarget>,
    /// Use this emulator in place of an account
    #[arg(long, value_name = "NAME", value_enum, requires = "target")]
    emulator: Option<EmulatorName>,
}

impl CloudArgs {
    pub(crate) fn folder(&self, stage: Option<&str>, package: &PackageArgs) -> Option<FolderArgs> {
        let stage = StageArgs { target: self.target?, stage: stage.map(str::to_owned), package: package.clone() };
        Some(FolderArgs { stage, emulator: self.emulator, output: None })
    }
}

/// The variables of a program that calls a cloud.
type Variables = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) target: CloudTarget,
    /// Its name, such as `shop-dev`.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    project: Project,
    emulator: Option<(EmulatorName, Emulator)>,
    options: String,
}

impl Stage {
    /// Packages the app again, and starts the emulator.
    pub(super) fn make(args: &FolderArgs, build: &BuildArgs, output: &Output) -> Result<Self, Failure> {
        args.check()?;
        let project = Project::find(&args.stage.package)?;
        let folder = args.folder(&project);
        let emulator = args.emulator.map(|name| Ok::<_, Failure>((name, name.start(&project, output)?))).transpose()?;
        let made = package::make(&project, &args.stage, build, &folder, output)?;
        if let Some((_, emulator)) = &emulator {
            let failed =
                |error: std::io::Error| Failure::new(format!("{} cannot be written", folder.display())).because(&error);
            fs::write(folder.join("emulator_override.tf"), emulator.overrides()).map_err(failed)?;
            fs::write(folder.join("emulator.auto.tfvars.json"), emulator.values()).map_err(failed)?;
        }
        Ok(args.stage(&made.manifest.app, project, folder, emulator))
    }

    /// The stage that an earlier deployment made.
    pub(super) fn find(args: &FolderArgs) -> Result<Self, Failure> {
        args.check()?;
        let project = Project::find(&args.stage.package)?;
        let folder = args.folder(&project);
        let missing = || {
            Failure::new(format!(
                "there is no stage `{}` on {} in {}",
                args.stage.name(),
                args.place(),
                folder.display()
            ))
            .hint(format!("isobar deploy {}", args.options()))
        };
        Mark::read(&folder)?.ok_or_else(missing)?;
        // The name that guards its data is that of the command line.
        Mark::new(args.stage.target.name(), &args.stage.name()).check(&folder)?;
        let emulator = match args.emulator {
            Some(name) => {
                let gone = || {
                    Failure::new(format!("{} does not run any more, and its stages are gone", name.name()))
                        .hint(format!("isobar deploy {}", args.options()))
                };
                Some((name, name.running(&project).ok_or_else(gone)?))
            }
            None => None,
        };
        let manifest = package::manifest_of(&folder)?;
        Ok(args.stage(&manifest.app, project, folder, emulator))
    }

    /// Is there a folder of it?
    pub(super) fn exists(args: &FolderArgs) -> Result<bool, Failure> {
        args.check()?;
        let project = Project::find(&args.stage.package)?;
        Ok(Mark::read(&args.folder(&project))?.is_some())
    }

    /// The variables with which a program calls the emulator of the stage; none without one.
    pub(super) fn emulated(&self, region: &str) -> Variables {
        self.emulator.as_ref().map_or_else(Vec::new, |(_, emulator)| emulator.variables(region).into())
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> &'static str {
        match (&self.emulator, self.target) {
            (Some((name, _)), _) => name.name(),
            (_, CloudTarget::Aws) => "AWS",
            (_, CloudTarget::Azure) => "Azure",
            (_, CloudTarget::Gcp) => "Google Cloud",
        }
    }

    /// The options that name it.
    pub(super) fn options(&self) -> &str {
        &self.options
    }

    /// Names the secrets and the configuration that the app does not start without.
    pub(super) fn name_secrets(&self, output: &Output) -> Result<(), Failure> {
        let manifest = package::manifest_of(&self.folder)?;
        for kind in ResourceKind::VALUES {
            let required =
                manifest.of_kind(kind).filter(|value| value.options.get("required").is_some_and(|it| *it == true));
            for value in required {
                let name = &value.name;
                output.step("Next", &format!("set the {kind} `{name}`: isobar secrets set {name} {}", self.options));
            }
        }
        Ok(())
    }

    pub(super) fn deploy_hint(&self) -> String {
        format!("isobar deploy {}", self.options)
    }

    pub(super) fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }

    /// The program `aws`, and the variables with which it calls the account of the stage.
    pub(super) fn aws(&self, region: &str) -> Result<(PathBuf, Variables), Failure> {
        let install = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";
        if let Some((name, emulator)) = &self.emulator
            && let Some(program) = name.aws(&self.project)
        {
            return Ok((program, emulator.variables(region).into()));
        }
        // The first version of the command reads the second variable only.
        let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name, region.to_owned())).into();
        Ok((super::command("aws", install)?, variables))
    }

    /// The pauses before a deployment is tried again, because role assignments of Azure need time.
    pub(super) fn retries(&self) -> impl Iterator<Item = Duration> + use<> {
        let most = if self.target == CloudTarget::Azure { 20 } else { 0 };
        std::iter::repeat_n(Duration::from_secs(30), most)
    }

    /// Forgets a stage that was destroyed, where only an emulator had it.
    pub(super) fn end(&self, output: &Output) {
        if let Some((name, _)) = &self.emulator {
            let _ = fs::remove_dir_all(&self.folder);
            name.end(&self.project, output);
        }
    }
}

impl FolderArgs {
    /// A stage in its default folder, or in an emulator.
    #[cfg(feature = "moving")]
    pub(crate) fn new(
        target: CloudTarget,
        stage: Option<String>,
        package: PackageArgs,
        emulator: Option<EmulatorName>,
    ) -> Self {
        Self { stage: StageArgs { target, stage, package }, emulator, output: None }
    }

    /// The name of the side, such as `aws:dev`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.place(), self.stage.name())
    }

    fn check(&self) -> Result<(), Failure> {
        match (self.emulator, self.stage.target) {
            (Some(name), target) if target != CloudTarget::Aws => {
                Err(Failure::new(format!("{} emulates AWS, not {}", name.name(), target.name()))
                    .hint("use --target aws"))
            }
            _ => Ok(()),
        }
    }

    fn folder(&self, project: &Project) -> PathBuf {
        let stage = self.stage.name();
        match (self.emulator, &self.output) {
            (Some(name), _) => name.stage(project, &stage),
            (_, Some(folder)) => folder.clone(),
            _ => package::default_folder(project, self.stage.target, &stage),
        }
    }

    fn place(&self) -> &'static str {
        self.emulator.map_or(self.stage.target.name(), EmulatorName::name)
    }

    fn options(&self) -> String {
        let mut options = format!("--target {}", self.stage.target.name());
        if self.stage.name() != package::DEFAULT_STAGE {
            options += &format!(" --stage {}", self.stage.name());
        }
        if let Some(name) = self.emulator {
            options += &format!(" --emulator {}", name.name());
        }
        options
    }

    fn stage(&self, app: &str, project: Project, folder: PathBuf, emulator: Option<(EmulatorName, Emulator)>) -> Stage {
        let name = format!("{app}-{}", self.stage.name());
        Stage { target: self.stage.target, name, folder, project, emulator, options: self.options() }
    }
}
