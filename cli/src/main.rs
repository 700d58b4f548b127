//! The command `isobar`.
//!
//! stdout contains data, stderr all else. The exit code is 0 for success, 1 for findings or a failure, 2 for a wrong command
//! line, 130 after Ctrl-C.

mod args;
mod failure;
mod manifest;
mod output;
mod project;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
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
        Command::Manifest(args) => manifest::run(&args, output),
    }
}
