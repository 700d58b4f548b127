#![doc = include_str!("../README.md")]

mod absent;
mod in_process;
mod lacks;
pub mod memory;
mod panics;
pub mod rows;
pub mod strange;
mod suite;
pub mod target;
pub mod trials;
mod world;

use std::process::ExitCode;

pub use absent::{Absent, Need, Needs};
pub use lacks::{HarnessError, HarnessResult, Lacks, Provided};
pub use suite::Suite;
pub use world::{BuildApp, Gap, Harness, RunningApp, Trial, TrialResult, World};

/// `trials!["KV-1" => a_function, …]`: the trials of a module, as `pub fn all() -> Vec<Trial>`.
#[macro_export]
macro_rules! trials {
    ($($row:literal => $check:ident),* $(,)?) => {
        /// The trials of this module.
        pub fn all() -> Vec<$crate::Trial> {
            vec![$($crate::Trial {
                name: stringify!($check),
                row: $row,
                check: |world| Box::pin(async move { $check(world).await }),
            }),*]
        }
    };
}

/// Runs the trials of key-value, as the `main` of a test target with `harness = false`.
pub fn key_value(harness: impl Harness) -> ExitCode {
    Suite::new(trials::key_value::all()).run(harness)
}

/// Runs the trials of blobs, as the `main` of a test target with `harness = false`.
pub fn blob(harness: impl Harness) -> ExitCode {
    Suite::new(trials::blob::all()).run(harness)
}

/// Runs the trials of pub/sub, as the `main` of a test target with `harness = false`.
pub fn pub_sub(harness: impl Harness) -> ExitCode {
    Suite::new(trials::pub_sub::all()).run(harness)
}

/// Runs the trials of functions, as the `main` of a test target with `harness = false`.
pub fn function(harness: impl Harness) -> ExitCode {
    Suite::new(trials::function::all()).run(harness)
}

/// Runs the trials of work that runs once, as the `main` of a test target with `harness = false`. They need key-value only,
/// and those of messages and HTTP a host.
pub fn once(harness: impl Harness) -> ExitCode {
    Suite::new(trials::once::all()).run(harness)
}

/// Runs the trials of secrets and configuration, as the `main` of a test target with `harness = false`.
pub fn secret(harness: impl Harness) -> ExitCode {
    Suite::new(trials::secret::all()).run(harness)
}

/// Runs all trials, as the `main` of a test target with `harness = false`.
pub fn all(harness: impl Harness) -> ExitCode {
    Suite::new(trials::all()).run(harness)
}
