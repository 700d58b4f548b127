//! `isobar secrets`: the values of secrets and configuration on this machine.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use isobar::config::ISOBAR_SECRETS;
use isobar::driver::{Provider, ResourceKind, ResourceUrl, check_name};
use isobar::local::profile::PROFILE;
use isobar::local::{LocalProvider, set_secret};
use isobar::manifest::{DeclaredResource, Manifest};
use serde::Serialize;
use serde_json::Value;

use crate::call::complete;
use crate::deploy::{self, CloudArgs, FolderArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::place::Place;
use crate::project::{PackageArgs, Project};
use crate::prompt;

static KINDS: [ResourceKind; 2] = [ResourceKind::Secret, ResourceKind::Config];

#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a value; the app reads it now under `isobar dev`, else within 5 minutes
    Set(SetArgs),
    /// Print what the app declares, and where each has its value, without the values
    List(StageArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --target the value is for this machine. With it the value goes to the service of the cloud that the stage reads, by the \
                  command of the cloud, and to no file and no state. A secret that is typed here may be in the history of the shell.\n\nExamples:\n  isobar secrets set api-token\n  pass show shop/token | isobar secrets set api-token -\n  isobar secrets set settings '{\"greeting\": \"Hello\"}'\n  isobar secrets set api-token --target aws --stage prod"
)]
struct SetArgs {
    /// The name of the secret or the configuration
    #[arg(add = complete::resources(&KINDS))]
    name: String,
    /// The value, or - for standard input; without it a terminal prompts
    value: Option<Hidden>,
    #[command(flatten)]
    cloud: CloudArgs,
    #[command(flatten)]
    stage: StageArgs,
}

#[derive(Debug, Args)]
struct StageArgs {
    /// Use the values of this stage [default: that of ISOBAR_STAGE, also of `.env`]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    #[command(flatten)]
    package: PackageArgs,
}

/// A value of the command line.
#[derive(Clone)]
struct Hidden(String);

impl From<String> for Hidden {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(..)")
    }
}

pub(crate) async fn run(args: &SecretsArgs, output: &Output) -> Result<ExitCode, Failure> {
    match &args.action {
        Action::Set(args) => set(args, output).await,
        Action::List(args) => list(args, output).await,
    }
}

/// An app in its working folder.
struct Declared {
    manifest: Manifest,
    place: Place,
    prefix: String,
}

impl Declared {
    fn of(StageArgs { stage, package }: &StageArgs, output: &Output) -> Result<Self, Failure> {
        let project = Project::find(package)?;
        let manifest = project.build(output)?.manifest()?;
        let place = Place::enter(&project.folder, stage.as_deref())?;
        place.environment.set_app(&manifest.app);
        let prefix = place.config.prefix.get()?;
        Ok(Self { manifest, place, prefix })
    }

    /// The URL of the store, if one is set.
    fn url(&self) -> Result<Option<ResourceUrl>, Failure> {
        Ok(self.place.environment.var(ISOBAR_SECRETS).map(ResourceUrl::parse).transpose()?)
    }

    fn declared(&self) -> impl Iterator<Item = (ResourceKind, &DeclaredResource)> {
        KINDS.into_iter().flat_map(|kind| self.manifest.of_kind(kind).map(move |resource| (kind, resource)))
    }

    /// The variable with the value, and whether it is that of the shell.
    fn variable(&self, kind: ResourceKind, name: &str) -> Option<(String, bool)> {
        let variable = kind.variable(name);
        self.place.environment.var(&variable)?;
        let is_of_shell = self.place.shell.var(&variable).is_some();
        Some((variable, is_of_shell))
    }
}

async fn set(args: &SetArgs, output: &Output) -> Result<ExitCode, Failure> {
    check_name(&args.name)?;
    if let Some(cloud) = args.cloud.folder(args.stage.stage.as_deref(), &args.stage.package) {
        return set_deployed(args, &cloud, output).await;
    }
    let app = Declared::of(&args.stage, output)?;
    let file = match app.url()? {
        None => app.place.config.secrets.clone(),
        Some(url) if url.scheme() == "file" => PathBuf::from(url.name()),
        Some(url) => {
            return Err(Failure::new(format!(
                "the values are in {}://, because {ISOBAR_SECRETS} is set",
                url.scheme()
            ))
            .hint("set the value there, or remove the variable"));
        }
    };
    let Some(text) = value(args).await? else { return Ok(ExitCode::from(130)) };
    let kind = app.declared().find(|(_, resource)| resource.name == args.name).map(|(kind, _)| kind);
    let value = checked(&args.name, text, kind)?;
    let key = format!("{}{}", app.prefix, args.name);
    set_secret(&file, &key, value)?;
    warn(&app, &args.name, kind, output);
    let path = std::path::absolute(&file).unwrap_or(file);
    match output.json {
        true => output.document(&serde_json::json!({"key": key, "file": path}))?,
        false => output.line(&format!("set `{key}` in {}", path.display())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Sets the value of a stage in a cloud.
async fn set_deployed(args: &SetArgs, folder: &FolderArgs, output: &Output) -> Result<ExitCode, Failure> {
    let store = deploy::SecretStore::open(folder, output).await?;
    let declared = KINDS.into_iter().find(|kind| store.manifest.of_kind(*kind).any(|it| it.name == args.name));
    let kind = declared.ok_or_else(|| {
        Failure::new(format!("the app of the stage declares no secret or configuration `{}`", args.name))
            .hint("deploy the app that declares it before")
    })?;
    let Some(text) = value(args).await? else { return Ok(ExitCode::from(130)) };
    let value = match checked(&args.name, text, Some(kind))? {
        Value::String(text) if kind == ResourceKind::Secret => text,
        json => json.to_string(),
    };
    let key = store.set(&args.name, &value).await?;
    match output.json {
        true => output.document(&serde_json::json!({"key": key}))?,
        false => output.line(&format!("set `{key}`; the app reads it within 5 minutes")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Names what makes the new value useless.
fn warn(app: &Declared, name: &str, kind: Option<ResourceKind>, output: &Output) {
    if kind.is_none() {
        let names: Vec<_> = app.declared().map(|(_, resource)| format!("`{}`", resource.name)).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        output.warning(&format!("the app declares no secret or configuration `{name}`; it declares {names}"));
    }
    if let Some((variable, _)) = kind.and_then(|kind| app.variable(kind, name)) {
        output.warning(&format!("{variable} is set too, and has precedence"));
    }
}

/// The value, without the end of the line; `None` after Ctrl-C.
async fn value(args: &SetArgs) -> Result<Option<String>, Failure> {
    let stdin = std::io::stdin();
    match &args.value {
        Some(Hidden(value)) if value != "-" => Ok(Some(value.clone())),
        None if stdin.is_terminal() => prompt::hidden(&format!("Value of {}: ", args.name)).await,
        _ => {
            let mut text = String::new();
            let read = stdin.lock().read_to_string(&mut text);
            read.map_err(|error| Failure::new("standard input cannot be read").because(&error))?;
            Ok(Some(text.strip_suffix('\n').map_or(&*text, |text| text.trim_end_matches('\r')).to_owned()))
        }
    }
}

fn checked(name: &str, text: String, kind: Option<ResourceKind>) -> Result<Value, Failure> {
    if text.is_empty() {
        return Err(Failure::new(format!("the value of `{name}` is empty; nothing was changed"))
            .hint("pass it as an argument or on standard input; in a terminal the command prompts for it"));
    }
    let limit = PROFILE.limits.secret_bytes;
    if text.len() as u64 > limit {
        return Err(Failure::new(format!(
            "the value of `{name}` has {} bytes; at most {limit} are allowed",
            text.len()
        )));
    }
    if kind != Some(ResourceKind::Config) {
        return Ok(Value::String(text));
    }
    // No text of the error: it could contain a part of the value.
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::new(format!(
            "the configuration `{name}` is no JSON, at line {line} column {column}; nothing was changed"
        ))
        .hint(r#"put single quotes around it: '{"greeting": "Hello"}'"#)
    })
}

/// A row of `isobar secrets list`.
#[derive(Serialize)]
struct Listed {
    name: String,
    kind: &'static str,
    required: bool,
    /// Where the value is; `None` if it is missing.
    value_from: Option<String>,
}

async fn list(args: &StageArgs, output: &Output) -> Result<ExitCode, Failure> {
    let app = Declared::of(args, output)?;
    let mut rows = Vec::new();
    for (kind, resource) in app.declared() {
        let value_from = value_from(&app, kind, &resource.name).await?;
        let required = resource.options.get("required") == Some(&Value::Bool(true));
        rows.push(Listed { name: resource.name.clone(), kind: kind.name(), required, value_from });
    }
    if output.json {
        output.document(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        output.line(&format!("the app `{}` declares no secrets and no configuration", app.manifest.app));
        return Ok(ExitCode::SUCCESS);
    }
    let missing = |row: &Listed| if row.required { "missing" } else { "none (optional)" }.to_owned();
    let cells = |row: &Listed| {
        let from = row.value_from.clone().unwrap_or_else(|| missing(row));
        [row.name.clone(), row.kind.to_owned(), from]
    };
    output.table(["NAME", "KIND", "VALUE FROM"], &rows.iter().map(cells).collect::<Vec<_>>());
    if let Some(row) = rows.iter().find(|row| row.required && row.value_from.is_none()) {
        output.warning(&format!("the app does not start without `{}`; set it: isobar secrets set {0}", row.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the value of a secret or a configuration is.
async fn value_from(app: &Declared, kind: ResourceKind, name: &str) -> Result<Option<String>, Failure> {
    match app.variable(kind, name) {
        Some((variable, true)) => return Ok(Some(format!("the variable {variable}"))),
        Some((variable, false)) => return Ok(Some(format!("{variable} of the file .env"))),
        None => {}
    }
    let url = app.url()?;
    let place = match &url {
        Some(url) if url.scheme() != "file" => return Ok(Some(format!("{}://, which is not read here", url.scheme()))),
        Some(url) => url.name().to_owned(),
        None => app.place.config.secrets.display().to_string(),
    };
    let store = LocalProvider::new(app.place.config.clone()).secrets(url.as_ref())?;
    let value = store.get(&format!("{}{name}", app.prefix)).await?;
    Ok(value.map(|_| place))
}
