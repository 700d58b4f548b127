//! The conformance suite on the embedded provider.

fn main() -> std::process::ExitCode {
    isobar_conformance::run(isobar_e2e::backends::local::Local)
}
