//! The latency of the firestore crate, for `benches/src/bin/firestore.rs` to compare with.
//!
//! Reads lines such as `get 100` or `put 100`; answers each with one line of JSON: what every call
//! took, in microseconds. Calls come one after the other, on one connection.

use std::io::{BufRead, Write};
use std::time::Instant;

use firestore::{FirestoreDb, FirestoreTimestamp};
use serde::{Deserialize, Serialize};

type Error = Box<dyn std::error::Error + Send + Sync>;

const COLLECTION: &str = "bench-links";

#[derive(Serialize, Deserialize)]
struct Item {
    p: String,
    v: String,
}

/// The version of what was written: all that a `put` of isobar learns.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "_firestore_updated")]
    updated: FirestoreTimestamp,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let firestore = FirestoreDb::new(std::env::var("GOOGLE_CLOUD_PROJECT")?).await?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (operation, count) = line.split_once(' ').ok_or("not `get N` or `put N`")?;
        let mut took = Vec::new();
        for number in 0..count.parse()? {
            let key = format!("crate-{:04}", number % 100);
            let started = Instant::now();
            match operation {
                "get" => get(&firestore, &key).await?,
                _ => put(&firestore, &key).await?,
            }
            took.push(started.elapsed().as_secs_f64() * 1e6);
        }
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&took)?)?;
    }
    Ok(())
}

async fn get(firestore: &FirestoreDb, key: &str) -> Result<(), Error> {
    let item: Option<Item> = firestore.fluent().select().by_id_in(COLLECTION).obj().one(key).await?;
    if item.is_some_and(|item| item.v.len() == 1024) { Ok(()) } else { Err("another value".into()) }
}

async fn put(firestore: &FirestoreDb, key: &str) -> Result<(), Error> {
    let item = Item { p: key.to_owned(), v: "v".repeat(1024) };
    // Else the whole item comes back.
    let update = firestore.fluent().update().in_col(COLLECTION).return_only_fields(["p"]);
    let written: Written = update.document_id(key).object(&item).execute().await?;
    // Else the compiler may leave out what nobody reads.
    std::hint::black_box(&written.updated);
    Ok(())
}
