//! The conformance suite on the AWS services of ministack.
#![allow(clippy::unwrap_used)] // a target fails by panicking

use isobar_e2e::backends::aws::{Aws, Services, gaps};
use isobar_e2e::backends::suite;
use isobar_e2e::emulators::{Emulator, MINISTACK, Python};

fn main() -> std::process::ExitCode {
    suite().run_if_present("aws-ministack", || {
        let emulator = Emulator::start(&Python::ready()?, MINISTACK, &[]).unwrap();
        let (name, endpoint) = ("aws-ministack", emulator.url());
        Ok((Aws { name, services: Services { endpoint, account: "000000000000" }, gaps: gaps::MINISTACK }, emulator))
    })
}
