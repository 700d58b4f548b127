//! `get` and `put` of 1 KB in Cosmos DB: ours compared with azure_data_cosmos's, against the same server.
//!
//! `benches/azure.sh` builds what is compared, and runs this.

use std::path::Path;
use std::sync::Arc;

use isobar::Cloud;
use isobar::driver::Environment;
use isobar_azure::{AzureConfig, AzureProvider};
use isobar_benches::cosmos::Cosmos;
use isobar_benches::handler::environment;
use isobar_benches::latency::{Peer, compare};

fn main() {
    for cosmos in [Cosmos::double(), Cosmos::emulator()] {
        let variables = environment(&cosmos).into_iter().map(|(name, value)| (name.to_owned(), value));
        let config = AzureConfig::from_environment(&Environment::new(variables, [])).unwrap();
        let table = Cloud::new(Arc::new(AzureProvider::new(config))).table("links");
        let mut sdk = Peer::start(Path::new("target/peers/azure-sdk/lambda/kv-bench"), environment(&cosmos));
        compare(&table, &mut sdk, cosmos.name, "azure_data_cosmos");
    }
}
