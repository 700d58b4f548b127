//! The conformance suite's trials of single items on a Cosmos DB whose region for reads receives each write later: only
//! session tokens let a writer read its own writes.
#![allow(clippy::unwrap_used)] // a target fails by panicking

use std::time::Duration;

use isobar_e2e::backends::azure::{Azure, Services, gaps};
use isobar_e2e::backends::suite;
use isobar_e2e::emulators::{Azurite, CosmosEmulator, CosmosProgram, Node};

/// Longer than the time between a write and a read that follows it.
const LAG: Duration = Duration::from_millis(30);

fn main() -> std::process::ExitCode {
    suite().with_filter(gaps::is_of_single_items).run_if_present("azure-cosmos-late", || {
        let azurite = Azurite::start(&Node::ready()?).unwrap();
        let cosmos = CosmosEmulator::start_late(&CosmosProgram::ready()?, LAG).unwrap();
        let services = Services::storage(&azurite).with_cosmos(&cosmos.endpoint);
        Ok((Azure { name: "azure-cosmos-late", services, gaps: gaps::LATE }, (azurite, cosmos)))
    })
}
