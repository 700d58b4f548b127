//! The conformance suite's trials of key-value on Cosmos DB, as `@vercel/cosmosdb-server` has it.
#![allow(clippy::unwrap_used)] // a target fails by panicking

use isobar_conformance::backends::azure::{Azure, Services, gaps};
use isobar_conformance::emulators::{Azurite, Node, Vercel};

fn main() -> std::process::ExitCode {
    isobar_conformance::run_if_present("azure-vercel", || {
        let node = Node::ready()?;
        let azurite = Azurite::start(&node).unwrap();
        let vercel = Vercel::start(&node).unwrap();
        let services = Services::storage(&azurite).with_cosmos(&vercel.endpoint);
        Ok((Azure { name: "azure-vercel", services, gaps: &gaps::VERCEL }, (azurite, vercel)))
    })
}
