//! Cosmos DB for the benchmarks: Azure's own emulator, and a double that costs next to nothing.

mod double;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

use crate::http1;

/// Where `benches/azure.sh build` puts the emulator.
const EMULATOR: &str = "target/cosmos-emulator/release/cosmos-emulator";

/// A key of the form that Cosmos DB gives out; the emulator knows no other.
pub const COSMOS_KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// The emulator holds a signature against this, and not this against the clock.
const DATE: &str = "Thu, 26 Nov 2026 00:00:00 GMT";

/// A Cosmos DB account whose database `isobar` has the container `bench-links`.
#[derive(Debug)]
pub struct Cosmos {
    /// What it is, for the table of results.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks HTTP/1.1 and JSON only; Azure's own client must be configured for that.
    pub plain: bool,
    requests: Arc<Mutex<Vec<String>>>,
    process: Option<Child>,
}

impl Cosmos {
    /// The emulator in Azure's own driver, which `tests/e2e/cosmos-emulator` puts behind a socket. It is no
    /// server that is built for speed; both sides wait for it alike.
    pub fn emulator() -> Self {
        let mut command = Command::new(EMULATOR);
        command.args(["--key", COSMOS_KEY]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.spawn();
        let mut process = spawned.unwrap_or_else(|error| panic!("{EMULATOR}: {error}; run `benches/azure.sh build`"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("ready http://").and_then(|it| it.trim_end_matches('/').parse().ok());
        let address = address.unwrap_or_else(|| panic!("{EMULATOR} is not ready: {line}"));
        make(address, "dbs", "", r#"{"id":"isobar"}"#);
        let key = r#"{"paths":["/p"],"kind":"Hash","version":2}"#;
        let container = format!(r#"{{"id":"bench-links","partitionKey":{key},"defaultTtl":-1}}"#);
        make(address, "colls", "dbs/isobar", &container);
        Self { name: "Azure's emulator", address, plain: false, requests: Arc::default(), process: Some(process) }
    }

    /// isobar's double: stores upserted items, and returns them to reads by id.
    pub fn double() -> Self {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let address = double::start(Arc::clone(&requests));
        Self { name: "isobar's double", address, plain: true, requests, process: None }
    }

    /// The operations on items that the double received since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Drop for Cosmos {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>
fn make(address: SocketAddr, kind: &str, parent: &str, what: &str) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(COSMOS_KEY).unwrap());
    let signed = format!("post\n{kind}\n{parent}\n{}\n\n", DATE.to_lowercase());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let authorization = format!("type%3Dmaster%26ver%3D1.0%26sig%3D{signature}");
    let headers = [
        ("authorization", &*authorization),
        ("content-type", "application/json"),
        ("x-ms-date", DATE),
        ("x-ms-version", "2020-07-15"),
    ];
    let path = if parent.is_empty() { format!("/{kind}") } else { format!("/{parent}/{kind}") };
    let response = http1::post(address, &path, &headers, what).unwrap();
    assert!(response.starts_with("HTTP/1.1 201"), "{path} cannot be made: {response}");
}
