//! `isobar new`: makes a project from a template.

mod folder;
mod name;
mod template;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::target::stage_limit;
use folder::Draft;
use template::Template;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isobar new demo && cd demo && isobar dev\n  isobar new my-bot --template chatbot")]
pub(crate) struct NewArgs {
    /// The folder of the project; its last part is the name of the app
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// What the project contains at the start
    #[arg(short, long, value_enum, default_value_t)]
    template: Template,
    /// Use this version of isobar from crates.io [default: the version of this command, if it is from there]
    #[arg(long, value_name = "VERSION", group = "source", value_parser = version)]
    isobar_version: Option<String>,
    /// Use isobar from a repository of git
    #[arg(long, value_name = "URL", group = "source", value_parser = repository)]
    isobar_git: Option<String>,
    /// Use isobar from a folder [default: the clone of its repository in which this command was built]
    #[arg(long, value_name = "DIR", group = "source")]
    isobar_path: Option<PathBuf>,
    /// Do not make the project a repository of git
    #[arg(long)]
    no_git: bool,
}

/// What was made.
#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    folder: &'a Path,
    files: Vec<&'static str>,
    git: bool,
    isobar: Source,
}

/// Where cargo finds isobar: a key of its dependency table with the value.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Version(String),
    Git(String),
    Path(String),
}

pub(crate) fn run(args: &NewArgs, output: &Output) -> Result<ExitCode, Failure> {
    let no_folder =
        |error| Failure::new("there is no working folder").because(&error).hint("cd to a folder that exists");
    let place = std::env::current_dir().and_then(|_| std::path::absolute(&args.folder)).map_err(no_folder)?;
    let name = checked_name(args, &place)?;
    check_place(&place)?;
    let isobar = source(args)?;
    let files = args.template.files(&name, &dependency(&isobar));

    let failed = |error: io::Error| {
        let failure = Failure::new(format!("{} cannot be made", args.folder.display())).because(&error);
        failure.hint("choose a folder in which you may write")
    };
    let draft = Draft::create(&place).map_err(failed)?;
    draft.write(&files).map_err(failed)?;
    let git = !args.no_git && !folder::is_in_repository(&place) && draft.init_git();
    draft.finish(&place).map_err(failed)?;

    if let Some(limit) = stage_limit(&name) {
        output.warning(&limit);
    }
    let files = files.iter().map(|(path, _)| *path).collect();
    report(&Made { name: &name, folder: &place, files, git, isobar }, &args.folder, output)?;
    Ok(ExitCode::SUCCESS)
}

/// The name of the project, which is the last part of its folder.
fn checked_name(args: &NewArgs, place: &Path) -> Result<String, Failure> {
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name::problem(&name, args.template) {
        None => Ok(name),
        Some(problem) => {
            let proposed = args.folder.with_file_name(name::propose(&name, args.template));
            let failure = Failure::new(format!("an app cannot have the name `{}`: {problem}", name.escape_debug()));
            Err(failure.hint(format!("isobar new {}", shell_word(&proposed))))
        }
    }
}

/// The place must be free, or an empty folder that is not the working folder, in a folder that exists.
fn check_place(place: &Path) -> Result<(), Failure> {
    let parent = place.parent().unwrap_or(place);
    if !parent.is_dir() {
        let name = parent.display();
        return Err(match parent.exists() {
            true => Failure::new(format!("{name} is no folder")).hint("choose a folder that exists"),
            false => Failure::new(format!("the folder {name} does not exist"))
                .hint(format!("mkdir -p {}", shell_word(parent))),
        });
    }
    let Ok(found) = place.symlink_metadata() else { return Ok(()) };
    let other = "choose another name: isobar new never overwrites";
    if !found.is_dir() {
        return Err(Failure::new(format!("{} exists, and is no folder", place.display())).hint(other));
    }
    let (here, absolute) = (std::env::current_dir(), place.canonicalize());
    let is_inside = here.and_then(|here| Ok(here.canonicalize()?.starts_with(absolute?))).unwrap_or(false);
    match fs::read_dir(place).map(Iterator::count) {
        Err(error) => Err(Failure::new(format!("{} cannot be read", place.display())).because(&error).hint(other)),
        Ok(0) if is_inside => {
            let failure = Failure::new(format!("{} is the working folder", place.display()));
            let name = place.file_name().unwrap_or_default();
            Err(failure.hint(format!("cd .. && isobar new {}", shell_word(name.as_ref()))))
        }
        Ok(0) => Ok(()),
        Ok(_) => Err(Failure::new(format!("the folder {} is not empty", place.display())).hint(other)),
    }
}

/// A command that was built in a clone of isobar's repository may be of no published version.
fn source(args: &NewArgs) -> Result<Source, Failure> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(|folder| folder_of_isobar(folder).ok());
    Ok(match (&args.isobar_version, &args.isobar_git, &args.isobar_path, built) {
        (Some(version), ..) => Source::Version(version.clone()),
        (_, Some(url), ..) => Source::Git(url.clone()),
        (.., Some(folder), _) => Source::Path(folder_of_isobar(folder)?),
        (.., Some(folder)) => Source::Path(folder),
        _ => Source::Version(env!("CARGO_PKG_VERSION").to_owned()),
    })
}

/// The value of the dependency `isobar` in `Cargo.toml`.
fn dependency(source: &Source) -> String {
    let (key, value) = match source {
        Source::Version(version) => ("version", version),
        Source::Git(url) => ("git", url),
        Source::Path(folder) => ("path", folder),
    };
    // A string of JSON is one of TOML.
    format!("{{ {key} = {}, default-features = false }}", serde_json::Value::from(value.as_str()))
}

/// A version as `Cargo.toml` has it.
fn version(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    let number = text.trim_start_matches(['^', '~', '=']);
    match number.starts_with(|c: char| c.is_ascii_digit()) && number.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("use a version such as 0.1 or =0.1.0".to_owned()),
    }
}

/// The URL of a repository.
fn repository(text: &str) -> Result<String, String> {
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
    match is_url && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Ok(text.to_owned()),
        false => Err("use a URL such as https://example.org/isobar.git or ssh://git@example.org/isobar".to_owned()),
    }
}

fn folder_of_isobar(folder: &Path) -> Result<String, Failure> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    if !manifest.lines().any(|line| line == "name = \"isobar\"") {
        let failure = Failure::new(format!("{} does not contain isobar", folder.display()));
        return Err(failure.hint("--isobar-path is the folder of a clone of isobar's repository"));
    }
    let absolute = folder.canonicalize();
    let absolute = absolute.map_err(|error| Failure::new(folder.display().to_string()).because(&error))?;
    Ok(absolute.to_string_lossy().into_owned())
}

fn report(made: &Made<'_>, folder: &Path, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.document(made);
    }
    output.step("Created", &format!("the app `{}` with {} files", made.name, made.files.len()));
    for file in &made.files {
        output.line(&folder.join(file).display().to_string());
    }
    if let Source::Path(isobar) = &made.isobar {
        output.step("Isobar", &format!("of {isobar}, on this machine only: see --isobar-git"));
    }
    output.step("Next", &format!("cd {}", shell_word(folder)));
    output.step("", "isobar dev    runs it, and builds it again after each change");
    output.step("", "cargo test");
    output.step("", "README.md has requests to try");
    Ok(())
}

/// A path as a word of a command line.
fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    match text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
