//! The conformance suite on a storage account alone: the tables, blobs and queues of Azurite.
#![allow(clippy::unwrap_used)] // a target fails by panicking

use isobar_e2e::backends::azure::{Azure, Services, gaps};
use isobar_e2e::backends::suite;
use isobar_e2e::emulators::{Azurite, Node};

fn main() -> std::process::ExitCode {
    suite().run_if_present("azure-azurite", || {
        let azurite = Azurite::start(&Node::ready()?).unwrap();
        let services = Services::storage(&azurite);
        Ok((Azure { name: "azure-azurite", services, gaps: gaps::AZURITE }, azurite))
    })
}
