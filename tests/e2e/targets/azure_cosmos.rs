//! The conformance suite on Cosmos DB in the emulator of Azure's own driver, on blobs in Azurite, and on the double of
//! Service Bus.
#![allow(clippy::unwrap_used)] // a target fails by panicking

use isobar_e2e::backends::azure::{Azure, Services, gaps};
use isobar_e2e::backends::suite;
use isobar_e2e::emulators::{Azurite, CosmosEmulator, CosmosProgram, Node};

fn main() -> std::process::ExitCode {
    suite().run_if_present("azure-cosmos", || {
        let azurite = Azurite::start(&Node::ready()?).unwrap();
        let cosmos = CosmosEmulator::start(&CosmosProgram::ready()?).unwrap();
        let services = Services::storage(&azurite).with_cosmos(&cosmos.endpoint);
        Ok((Azure { name: "azure-cosmos", services, gaps: gaps::COSMOS }, (azurite, cosmos)))
    })
}
