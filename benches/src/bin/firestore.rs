//! `get` and `put` of 1 KB in Firestore: ours compared with the firestore crate's; and 32 writers on one counter, compared with
//! Google's client for Node, against Google's own emulator.
//!
//! `benches/gcp.sh` builds what is compared, and runs this.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::join_all;
use isobar::Cloud;
use isobar::driver::Environment;
use isobar::gcp::{GcpConfig, GcpProvider};
use isobar::key_value::Table;
use isobar_benches::firestore::{Firestore, PROJECT};
use isobar_benches::http1::Connection;
use isobar_benches::latency::{CALLS, Peer, compare, isobar, warm_up};
use isobar_benches::service::environment;
use isobar_benches::{median, medians, row_with_goal};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Runtime;

const WRITERS: i64 = 32;
/// Rounds compared with a bare socket.
const BARE_ROUNDS: usize = 21;
/// Rounds of calls before any is measured, of 100 calls each; see `warm_up`.
const WARM_UP: usize = 20;

/// A way to write to a counter that has many writers.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The service adds.
    Add,
    /// Read, change and write, again where another writer was faster.
    Update,
}

/// What Node says of a round.
#[derive(Deserialize)]
struct Round {
    value: i64,
    ms: f64,
}

fn main() {
    let double = Firestore::double();
    check(&cloud(&double).table("links"), &double);
    latency(&cloud(&double), &double, 0);
    let emulator = Firestore::emulator();
    let cloud = cloud(&emulator);
    latency(&cloud, &emulator, WARM_UP);
    bare(&cloud.table("links"), &emulator);
    counters(&cloud.table("counters"), &emulator);
}

fn cloud(firestore: &Firestore) -> Cloud {
    let variables = environment(firestore.address).into_iter().map(|(name, value)| (name.to_owned(), value));
    let config = GcpConfig::from_environment(&Environment::new(variables, [])).unwrap();
    Cloud::new(Arc::new(GcpProvider::new(config)))
}

fn latency(cloud: &Cloud, firestore: &Firestore, warm_up_rounds: usize) {
    let table = cloud.table("links");
    let mut peer = peer(firestore);
    warm_up(&table, &mut peer, warm_up_rounds);
    compare(&table, &mut peer, firestore.name, "firestore crate");
}

fn peer(firestore: &Firestore) -> Peer {
    Peer::start(Path::new("target/peers/firestore/lambda/kv-bench"), environment(firestore.address))
}

/// That both sides send one request for each call.
fn check(table: &Table<Bytes>, double: &Firestore) {
    let runtime = Runtime::new().unwrap();
    let mut peer = peer(double);
    for operation in ["put", "get"] {
        let ours = runtime.block_on(isobar(table, operation)).len();
        assert_eq!(double.take_requests() as usize, ours, "our {operation}");
        let theirs: Vec<f64> = peer.ask(&format!("{operation} {CALLS}"));
        assert_eq!(double.take_requests() as usize, theirs.len(), "the firestore crate's {operation}");
    }
}

/// For information: what the same costs without a client, by a bare socket. The emulator's own time by REST.
fn bare(table: &Table<Bytes>, firestore: &Firestore) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut connection = Connection::new(TcpStream::connect(firestore.address).unwrap()).unwrap();
    for operation in ["put", "get"] {
        let request = bare_request(firestore, operation);
        let ours = || median(runtime.block_on(isobar(table, operation)));
        let theirs = || median((0..CALLS).map(|_| requests(&mut connection, &request)).collect());
        let middles = medians(BARE_ROUNDS, &mut [&mut { ours }, &mut { theirs }]);
        let (ours, theirs, ratio) = (middles[0], middles[1], middles[0] / middles[1]);
        println!(
            "| `{operation}` of 1 KB by REST ({}) | {ours:.0} µs | {theirs:.0} µs, a bare socket | {ratio:.2} | | |",
            firestore.name
        );
    }
}

/// Like those of isobar.
fn bare_request(firestore: &Firestore, operation: &str) -> Vec<u8> {
    let documents = format!("projects/{PROJECT}/databases/(default)/documents");
    let name = format!("{documents}/bench-links/pbare/bench-links/s");
    let (method, body) = match operation {
        "put" => {
            let text = |text: &str| json!({ "stringValue": text });
            let fields = json!({ "p": text("bare"), "s": text(""), "v": text(&"v".repeat(1024)), "w": text("mark") });
            ("commit", json!({ "writes": [{ "update": { "name": name, "fields": fields } }] }))
        }
        _ => ("batchGet", json!({ "documents": [name] })),
    };
    let (address, body) = (firestore.address, body.to_string());
    let length = body.len();
    format!(
        "POST /v1/{documents}:{method} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What it took, in microseconds.
fn requests(connection: &mut Connection, request: &[u8]) -> f64 {
    let started = Instant::now();
    let (status, _) = connection.ask(request).unwrap();
    let took = started.elapsed().as_secs_f64() * 1e6;
    assert_eq!(status, 200);
    took
}

fn counters(table: &Table<i64>, firestore: &Firestore) {
    // One thread for all writers, as Node has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut node = node(firestore);
    // The transactions take most of a minute a round.
    for (way, theirs, rounds) in
        [(Way::Add, "increment", 11), (Way::Update, "update", 11), (Way::Update, "transaction", 3)]
    {
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let our = ours(&runtime, table, way, &format!("{theirs}-{round}"));
            let their: Round = node.ask(&format!("{theirs} {WRITERS}"));
            assert_eq!(their.value, WRITERS, "Node's {theirs}");
            // The first round warms up.
            if round > 0 {
                our_times.push(our);
                their_times.push(their.ms);
            }
        }
        show(way, theirs, median(our_times), median(their_times));
    }
}

/// Google's client for Node, configured not to look for a machine of Google's.
fn node(firestore: &Firestore) -> Peer {
    let mut command = Command::new("node");
    command.args(["benches/peers/google-node/counter.cjs", "target/peers/google-node"]);
    let mut variables = environment(firestore.address);
    variables.push(("METADATA_SERVER_DETECTION", "none".to_owned()));
    Peer::of(command, variables)
}

/// Milliseconds until the last of all concurrent writers has finished.
fn ours(runtime: &Runtime, table: &Table<i64>, way: Way, key: &str) -> f64 {
    let took = runtime.block_on(async {
        let started = Instant::now();
        join_all((0..WRITERS).map(|_| write(table, way, key))).await;
        started.elapsed().as_secs_f64() * 1e3
    });
    let value = runtime.block_on(table.get(key)).unwrap();
    assert_eq!(value, Some(WRITERS), "our {way:?}");
    took
}

async fn write(table: &Table<i64>, way: Way, key: &str) {
    match way {
        Way::Add => table.add(key, 1).await.unwrap(),
        Way::Update => table.update(key, |value| value.unwrap_or_default() + 1).await.unwrap(),
    };
}

fn show(way: Way, theirs: &str, our: f64, their: f64) {
    let ours = match way {
        Way::Add => "add",
        Way::Update => "update",
    };
    let theirs = match theirs {
        "increment" => "`FieldValue.increment`",
        "update" => "`get` and `update` with `lastUpdateTime`",
        _ => "`runTransaction`",
    };
    let ratio = our / their;
    row_with_goal(
        &format!("{WRITERS} writers on one counter, `{ours}`, exact"),
        &format!("{our:.0} ms"),
        &format!("{their:.0} ms, Google's client for Node, {theirs}"),
        &format!("{ratio:.2}"),
        "< 1.0",
        ratio < 1.0,
    );
}
