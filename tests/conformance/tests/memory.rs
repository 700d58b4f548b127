//! The conformance suite on the cloud in memory.

fn main() -> std::process::ExitCode {
    isobar_conformance::run(isobar_conformance::memory::Memory)
}
