//! The project of an app: its package, its build, and the program that it builds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use isobar::manifest::{Manifest, VERSION};
use serde::Deserialize;

use crate::config;
use crate::failure::Failure;
use crate::output::Output;

/// Which app of a workspace.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PackageArgs {
    /// The package of the app, in a workspace with several
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
}

/// A package whose program is an app.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) package: String,
    pub(crate) folder: PathBuf,
    /// The folder of the workspace.
    pub(crate) root: PathBuf,
    /// The folder of cargo's output.
    pub(crate) target: PathBuf,
    /// The folders of the package and of all its dependencies that are folders too.
    pub(crate) sources: Vec<PathBuf>,
    /// The command that installs this command, of the version of isobar that the app uses.
    pub(crate) install: String,
}

/// The program of an app.
#[derive(Debug)]
pub(crate) struct Program(pub(crate) PathBuf);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    /// Absent for a folder.
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    fn has_program(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "bin"))
    }

    fn selects_provider(&self) -> bool {
        self.features.values().flatten().any(|enabled| enabled.starts_with("isobar/"))
    }
}

impl Metadata {
    fn read() -> Result<Self, Failure> {
        let output =
            cargo().args(["metadata", "--format-version", "1", "--quiet"]).stdin(Stdio::null()).output().map_err(
                |error| Failure::new("cargo cannot be started").because(&error).hint("install Rust: https://rustup.rs"),
            )?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let reason = text.trim().trim_start_matches("error: ").to_owned();
            return Err(match reason.contains("could not find `Cargo.toml`") {
                true => Failure::new("this folder is no Rust project: it and its parents have no Cargo.toml")
                    .hint("change to the folder of an app, or make one: isobar new demo"),
                false => Failure::new(format!("cargo cannot read the project: {reason}")),
            });
        }
        let unknown = |error| Failure::new("the answer of `cargo metadata` is not known").because(&error);
        serde_json::from_slice(&output.stdout).map_err(unknown)
    }

    /// How isobar is installed elsewhere: as cargo finds it for the app.
    fn install(&self) -> String {
        let isobar = self.packages.iter().find(|package| package.name == "isobar");
        let source = isobar.and_then(|isobar| isobar.source.as_deref());
        match source.and_then(|source| source.strip_prefix("git+")) {
            Some(git) => {
                let url = git.split(['?', '#']).next().unwrap_or_default();
                let revision =
                    git.rsplit_once('#').map(|(_, revision)| format!(" --rev {revision}")).unwrap_or_default();
                format!("cargo install --locked --git {url}{revision} isobar-cli")
            }
            None => format!("cargo install --locked isobar-cli --version {}", env!("CARGO_PKG_VERSION")),
        }
    }

    fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }

    fn dependencies(&self, id: &str) -> &[String] {
        self.resolve.nodes.iter().find(|node| node.id == id).map_or(&[], |node| &node.dependencies)
    }

    /// The members of the workspace that are apps: they have a program, and features that select a provider of isobar.
    fn apps(&self) -> Vec<&Package> {
        let members = self.workspace_members.iter().filter_map(|id| self.package(id));
        members.filter(|package| package.has_program() && package.selects_provider()).collect()
    }

    /// The folders of a package and of the dependencies that are folders.
    fn sources(&self, id: &str) -> Vec<PathBuf> {
        let (mut found, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            let Some(package) = self.package(id).filter(|package| package.source.is_none()) else { continue };
            if found.insert(package.folder().to_owned()) {
                open.extend(self.dependencies(id).iter().map(String::as_str));
            }
        }
        found.into_iter().collect()
    }
}

impl Project {
    /// The project of the working folder. Failures: no project, no app, or several of which none is named.
    pub(crate) fn find(args: &PackageArgs) -> Result<Self, Failure> {
        let metadata = Metadata::read()?;
        let package = select(&metadata.apps(), args.package.as_deref())?;
        Ok(Self {
            package: package.name.clone(),
            folder: package.folder().to_owned(),
            sources: metadata.sources(&package.id),
            install: metadata.install(),
            target: metadata.target_directory,
            root: metadata.workspace_root,
        })
    }

    /// A command of cargo, in the folder of the app.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo();
        command.arg(subcommand).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// The command that builds the app for the laptop, with messages in this format.
    pub(crate) fn cargo_build(&self, format: &str) -> Command {
        let mut build = self.cargo("build");
        build.args(["--message-format", format, "--package", &self.package]);
        build
    }

    /// Builds the app for the laptop. cargo prints its progress and the errors.
    pub(crate) fn build(&self, output: &Output) -> Result<Program, Failure> {
        output.step("Building", &self.package);
        self.run_build(self.cargo_build("json-render-diagnostics"))
    }

    /// Runs a command that builds the app, with messages in JSON.
    pub(crate) fn run_build(&self, mut command: Command) -> Result<Program, Failure> {
        let built = command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Failure::new("cargo cannot be started").because(&error))?;
        if !built.status.success() {
            return Err(Failure::new(format!("`{}` does not build", self.package)).hint("correct the errors above"));
        }
        let text = String::from_utf8_lossy(&built.stdout);
        let mut programs = text.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable);
        let program = programs.next_back();
        program.map(Program).ok_or_else(|| Failure::new(format!("`{}` has no program", self.package)))
    }
}

/// A message of cargo's build.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

fn select<'a>(apps: &[&'a Package], name: Option<&str>) -> Result<&'a Package, Failure> {
    let names = || apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        let found = apps.iter().find(|app| app.name == name);
        let unknown = || {
            Failure::new(format!("there is no app `{name}`")).hint(format!("choose from the apps here: {}", names()))
        };
        return found.copied().ok_or_else(unknown);
    }
    let here = std::env::current_dir().unwrap_or_default();
    match apps {
        [] => Err(Failure::new(
            "no package here is an app: none has a program, and a feature such as `local = [\"isobar/local\"]`",
        )
        .hint("make one: isobar new demo")),
        [app] => Ok(app),
        _ => apps.iter().find(|app| here.starts_with(app.folder())).copied().ok_or_else(|| {
            Failure::new("this workspace has several apps").hint(format!("choose one with --package: {}", names()))
        }),
    }
}

impl Program {
    /// What the app declares. It opens nothing.
    pub(crate) fn manifest(&self) -> Result<Manifest, Failure> {
        let name = self.0.display();
        let output = Command::new(&self.0)
            .env("ISOBAR_MANIFEST", "1")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::new(format!("{name} cannot be started")).because(&error))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("error: ").to_owned();
            return Err(Failure::new(format!("the app cannot print what it declares: {text}")));
        }
        let wrong = format!("{name} does not print a manifest of isobar");
        read_manifest(&output.stdout, &wrong, "its `main` must call `isobar::main`")
    }
}

/// Reads a manifest. `wrong` and `hint` are the failure if it is none.
pub(crate) fn read_manifest(json: &[u8], wrong: &str, hint: &str) -> Result<Manifest, Failure> {
    serde_json::from_slice(json).map_err(|error| match serde_json::from_slice::<Version>(json) {
        Ok(Version { version }) if version > VERSION => Failure::new(format!(
            "the app is of a newer isobar: its manifest has the version {version}, and this command reads {VERSION}"
        ))
        .hint("install the command again, of the version of isobar that the app uses"),
        _ => Failure::new(wrong).because(&error).hint(hint),
    })
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The cargo of the toolchain that runs this command.
fn cargo() -> Command {
    Command::new(config::cargo())
}
