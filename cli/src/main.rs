//! The command `isobar`.
//!
//! stdout contains data, stderr all else. The exit code is 0 for success, 1 for findings or a failure, 2 for a wrong command
//! line, 130 after Ctrl-C.

mod args;
mod call;
mod check;
mod config;
mod deploy;
mod dev;
mod doctor;
mod failure;
mod manifest;
mod map;
#[cfg(feature = "moving")]
mod moving;
mod new;
mod output;
mod package;
mod part;
mod place;
mod project;
mod prompt;
mod secrets;
mod table;
mod target;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    args::complete();
    let args = Args::parse();
    let output = Output::new(args.color, args.json);
    match run(args.command, &output) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Completions { shell } => args::completions(shell),
        Command::DeadLetters(args) => block_on(call::dead_letters::run(&args, output)),
        Command::Deploy(args) => block_on(deploy::deploy(&args, output)),
        Command::Destroy(args) => block_on(deploy::destroy(&args, output)),
        Command::Dev(args) => block_on(dev::run(&args, output)),
        #[cfg(feature = "moving")]
        Command::Backup(args) => block_on_threads(moving::backup(&args, output)),
        #[cfg(feature = "moving")]
        Command::Migrate(args) => block_on_threads(moving::migrate(&args, output)),
        #[cfg(feature = "moving")]
        Command::Restore(args) => block_on_threads(moving::restore(&args, output)),
        #[cfg(feature = "moving")]
        Command::Verify(args) => block_on_threads(moving::verify(&args, output)),
        Command::Invoke(args) => block_on(call::invoke(&args, output)),
        Command::Check(args) => check::run(&args, output),
        Command::Doctor => doctor::run(output),
        Command::Logs(args) => block_on(deploy::logs(&args, output)),
        Command::Man { command } => args::man(command.as_deref(), output),
        Command::Map(args) => map::run(&args, output),
        Command::New(args) => new::run(&args, output),
        Command::Manifest(args) => manifest::run(&args, output),
        Command::Outputs(args) => block_on(deploy::outputs(&args, output)),
        Command::Package(args) => package::run(&args, output),
        Command::Publish(args) => block_on(call::publish(&args, output)),
        Command::PutObject(args) => block_on(call::put_object(&args, output)),
        Command::Secrets(args) => block_on(secrets::run(&args, output)),
        Command::Tick(args) => block_on(call::tick(&args, output)),
        Command::Url(args) => block_on(deploy::url(&args, output)),
        Command::Written(args) => block_on(call::written(&args, output)),
    }
}

fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new("the runtime cannot be started").because(&error))?.block_on(command)
}

/// [`block_on`] for work that fills more than one core.
#[cfg(feature = "moving")]
fn block_on_threads<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new("the runtime cannot be started").because(&error))?.block_on(command)
}
