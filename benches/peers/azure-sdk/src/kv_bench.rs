//! The latency of azure_data_cosmos, for `benches/src/bin/cosmos.rs` to compare with.
//!
//! Reads lines such as `get 100` or `put 100`; answers each with one line of JSON: what every call
//! took, in microseconds. Calls come one after the other, on one connection.

use std::io::{BufRead, Write};
use std::time::Instant;

use azure_core::credentials::Secret;
use azure_data_cosmos::clients::ContainerClient;
use azure_data_cosmos::options::BinaryEncodingOptions;
use azure_data_cosmos::{AccountEndpoint, AccountReference, CosmosClient, RoutingStrategy};
use serde::{Deserialize, Serialize};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Serialize, Deserialize)]
struct Item {
    id: String,
    p: String,
    v: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let endpoint: AccountEndpoint = std::env::var("COSMOS_ENDPOINT")?.parse()?;
    let account = AccountReference::with_authentication_key(endpoint, Secret::from(std::env::var("COSMOS_KEY")?));
    let encoding = BinaryEncodingOptions::new().with_enabled(std::env::var("COSMOS_BINARY_ENCODING")?.parse()?);
    let client = CosmosClient::builder().with_binary_encoding_options(encoding);
    let client = client.build(account, RoutingStrategy::ProximityTo("East US".into())).await?;
    let database = client.database_client(&std::env::var("COSMOS_DATABASE")?);
    let container = database.container_client(&std::env::var("LINKS_CONTAINER")?, None).await?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (operation, count) = line.split_once(' ').ok_or("not `get N` or `put N`")?;
        let mut took = Vec::new();
        for number in 0..count.parse()? {
            let key = format!("sdk-{:04}", number % 100);
            let started = Instant::now();
            match operation {
                "get" => get(&container, &key).await?,
                _ => put(&container, &key).await?,
            }
            took.push(started.elapsed().as_secs_f64() * 1e6);
        }
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&took)?)?;
    }
    Ok(())
}

async fn get(container: &ContainerClient, key: &str) -> Result<(), Error> {
    let item: Item = container.read_item(key.to_owned(), "value", None).await?.into_model()?;
    if item.v.len() == 1024 { Ok(()) } else { Err("another value".into()) }
}

async fn put(container: &ContainerClient, key: &str) -> Result<(), Error> {
    let item = Item { id: "value".to_owned(), p: key.to_owned(), v: "v".repeat(1024) };
    container.upsert_item(key.to_owned(), "value", &item, None).await?;
    Ok(())
}
