//! The command line.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use clap_complete::env::{CompleteEnv, Shells};

use crate::call::dead_letters::DeadLettersArgs;
use crate::call::{InvokeArgs, PublishArgs, PutObjectArgs, TickArgs, WrittenArgs};
use crate::check::CheckArgs;
use crate::deploy::{DeployArgs, DestroyArgs, LogsArgs, OutputsArgs};
use crate::dev::DevArgs;
use crate::failure::Failure;
use crate::map::MapArgs;
#[cfg(feature = "moving")]
use crate::moving::{BackupArgs, MigrateArgs, RestoreArgs, VerifyArgs};
use crate::new::NewArgs;
use crate::output::{Color, Output};
use crate::package::PackageCommand;
use crate::project::PackageArgs;
use crate::secrets::SecretsArgs;

const COMPLETIONS: &str = "Names of functions, topics and others are those of the app that runs in the working folder.\n\nExamples:\n  echo 'source <(isobar completions bash)' >> ~/.bashrc\n  echo 'source <(isobar completions zsh)' >> ~/.zshrc\n  isobar completions fish > ~/.config/fish/completions/isobar.fish";

const EXIT_CODES: &str = "Examples:\n  isobar new demo && cd demo && isobar dev\n  isobar check --target aws\n\nExit codes:\n  0    success\n  1    findings, or a failure\n  2    a wrong command line\n  130  Ctrl-C";

const GLOBAL: &str = "Options of all commands";

/// Makes, runs, checks and calls apps of isobar.
#[derive(Debug, Parser)]
#[command(name = "isobar", version, arg_required_else_help = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Use colors; auto: in a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t, env = "ISOBAR_COLOR", hide_env = true, help_heading = GLOBAL)]
    pub(crate) color: Color,
    /// Print one JSON document instead of text
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project from a template
    New(NewArgs),
    /// Run the app on this machine, and build it again at each change
    Dev(DevArgs),
    /// Build the app, and print what it declares
    Manifest(PackageArgs),
    /// Call a function of the running app, and print its answer
    Invoke(InvokeArgs),
    /// Publish a message to a topic of the running app
    Publish(PublishArgs),
    /// Write an object to a bucket of the running app
    PutObject(PutObjectArgs),
    /// Run a schedule of the running app now
    Tick(TickArgs),
    /// Call the handler of writes of a table, as after a write of an item
    Written(WrittenArgs),
    /// List, redrive or delete the messages that failed for good
    DeadLetters(DeadLettersArgs),
    /// Set or list the secrets and the configuration of the app on this machine
    Secrets(SecretsArgs),
    /// Show the services of the platforms, and what the app becomes there
    Map(MapArgs),
    /// Find what the app declares that a platform cannot honour, or honours differently
    Check(CheckArgs),
    /// Write what a deployment needs: the artefact, and Terraform for all that the app declares
    Package(PackageCommand),
    /// Package the app, and make or change its stage in a cloud
    Deploy(DeployArgs),
    /// Delete a stage from its cloud
    Destroy(DestroyArgs),
    /// Print the outputs of a stage, such as its address
    Outputs(OutputsArgs),
    /// Print the address of a stage
    Url(OutputsArgs),
    /// Print the logs of a stage
    Logs(LogsArgs),
    /// Make the data of one side equal to those of another: clouds, this machine, a backup
    #[cfg(feature = "moving")]
    Migrate(MigrateArgs),
    /// Compare the data of two sides
    #[cfg(feature = "moving")]
    Verify(VerifyArgs),
    /// Write the data of a side to a file
    #[cfg(feature = "moving")]
    Backup(BackupArgs),
    /// Write the data of a backup to a side
    #[cfg(feature = "moving")]
    Restore(RestoreArgs),
    /// Show what is installed and what is missing, and whether the local data are whole
    #[command(
        after_help = "Exit codes: 0 nothing is wrong that this machine needs, 1 a program for local development is \
                            missing, or the local data are not whole."
    )]
    Doctor,
    /// Print the manual page, or that of a command
    #[command(hide = true)]
    Man {
        /// The command
        command: Option<String>,
    },
    /// Print the completions for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Prints the manual page of `isobar`, or that of one of its commands.
pub(crate) fn man(name: Option<&str>, output: &Output) -> Result<ExitCode, Failure> {
    let mut args = Args::command();
    args.build();
    let page = match name {
        None => args,
        Some(name) => {
            let unknown = || Failure::new(format!("there is no command `{name}`")).hint("isobar --help lists them");
            let command = args.find_subcommand(name).cloned().ok_or_else(unknown)?;
            command.display_name(format!("isobar-{name}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::new("the page cannot be made").because(&error))?;
    output.line(String::from_utf8_lossy(&text).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Prints the script that makes a shell call this command for completions.
pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let (name, mut script) = (shell.to_string(), Vec::new());
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or_else(|| Failure::new(format!("{name} has no completions")))?;
    let written = completer.write_registration("COMPLETE", "isobar", "isobar", "isobar", &mut script);
    let written = written.and_then(|()| std::io::stdout().write_all(&script));
    written.map_err(|error| Failure::new("the completions cannot be printed").because(&error))?;
    Ok(ExitCode::SUCCESS)
}

/// Answers a shell that completes a command line, and ends the process; nothing elsewhere.
pub(crate) fn complete() {
    CompleteEnv::with_factory(Args::command).complete();
}
