//! The latency of aws-sdk-dynamodb, for `benches/src/bin/dynamodb.rs` to compare with.
//!
//! Reads lines such as `get 100` or `put 100`; answers each with one line of JSON: what every call
//! took, in microseconds. Calls come one after the other, on one connection.

use std::io::{BufRead, Write};
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::new(&aws_config::load_from_env().await);
    let table = std::env::var("LINKS_TABLE")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (operation, count) = line.split_once(' ').ok_or("not `get N` or `put N`")?;
        let mut took = Vec::new();
        for number in 0..count.parse()? {
            let key = format!("sdk-{:04}", number % 100);
            let started = Instant::now();
            match operation {
                "get" => get(&client, &table, &key).await?,
                _ => put(&client, &table, &key).await?,
            }
            took.push(started.elapsed().as_secs_f64() * 1e6);
        }
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&took)?)?;
    }
    Ok(())
}

async fn get(client: &Client, table: &str, key: &str) -> Result<(), Error> {
    let get = client.get_item().table_name(table).consistent_read(true);
    let get = get.key("pk", AttributeValue::S(key.to_owned())).key("sk", AttributeValue::S("value".to_owned()));
    let item = get.send().await?.item.ok_or("nothing was put")?;
    let value = item.get("value").and_then(|value| value.as_s().ok()).ok_or("no value")?;
    if value.len() == 1024 { Ok(()) } else { Err("another value".into()) }
}

async fn put(client: &Client, table: &str, key: &str) -> Result<(), Error> {
    let put = client.put_item().table_name(table);
    let put = put.item("pk", AttributeValue::S(key.to_owned())).item("sk", AttributeValue::S("value".to_owned()));
    put.item("value", AttributeValue::S("v".repeat(1024))).send().await?;
    Ok(())
}
