//! The conformance suite on the embedded provider.

use isobar_e2e::backends::local::Local;
use isobar_e2e::backends::suite;

fn main() -> std::process::ExitCode {
    suite().run(Local)
}
