//! The conformance suite on the AWS services of moto.
#![allow(clippy::unwrap_used)] // a target fails by panicking

use isobar_e2e::backends::aws::{Aws, Services, gaps};
use isobar_e2e::backends::suite;
use isobar_e2e::emulators::{Emulator, MOTO, Python};

fn main() -> std::process::ExitCode {
    suite().run_if_present("aws-moto", || {
        let emulator = Emulator::start(&Python::ready()?, MOTO, &[]).unwrap();
        let (name, endpoint) = ("aws-moto", emulator.url());
        Ok((Aws { name, services: Services { endpoint, account: "123456789012" }, gaps: gaps::MOTO }, emulator))
    })
}
