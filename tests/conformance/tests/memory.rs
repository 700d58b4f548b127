//! The conformance suite on the cloud in memory, whose data does not outlive its process.

use isobar_conformance::memory::Memory;
use isobar_conformance::{Lacks, Suite, trials};

fn main() -> std::process::ExitCode {
    Suite::new(trials::all()).with_allowed_lacks(&[Lacks::Reopen]).run(Memory)
}
