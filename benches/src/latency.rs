//! `get` and `put` of 1 KB: isobar's compared with those of an official client, against the same service.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use isobar::key_value::Table;
use serde::de::DeserializeOwned;

use crate::{median, row_with_goal};

const ROUNDS: usize = 41;
/// Calls of one side before it is the other's turn; as many as there are keys.
pub const CALLS: usize = 100;

/// Takes turns, and shows the medians of both. `service` and `client` are their names in the table of results.
pub fn compare(table: &Table<Bytes>, peer: &mut Peer, service: &str, client: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The puts come first, so that there is what the gets want.
    for operation in ["put", "get"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let (our, their) = (runtime.block_on(isobar(table, operation)), peer.run(operation));
            if round > 0 {
                ours.push(median(our));
                theirs.push(median(their));
            }
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let ratio = ours / theirs;
        let what = format!("`{operation}` of 1 KB ({service})");
        let peer = format!("{theirs:.0} µs, {client}");
        row_with_goal(&what, &format!("{ours:.0} µs"), &peer, &format!("{ratio:.2}"), "≤ 1.0", ratio <= 1.0);
    }
}

/// Has both sides call often, and measures nothing: a service on a virtual machine compiles its own code
/// while it is used, for each protocol on its own.
pub fn warm_up(table: &Table<Bytes>, peer: &mut Peer, rounds: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for operation in ["put", "get"].repeat(rounds) {
        runtime.block_on(isobar(table, operation));
        peer.run(operation);
    }
}

/// What each call took, in microseconds.
pub async fn isobar(table: &Table<Bytes>, operation: &str) -> Vec<f64> {
    let value = Bytes::from("v".repeat(1024));
    let mut took = Vec::new();
    for number in 0..CALLS {
        let key = format!("isobar-{number:04}");
        let started = Instant::now();
        match operation {
            "get" => assert_eq!(table.get(key).await.unwrap().unwrap().len(), 1024),
            _ => drop(table.put(key, &value).await.unwrap()),
        }
        took.push(started.elapsed().as_secs_f64() * 1e6);
    }
    took
}

/// The official client's side: a process, because its crates must stay out of this workspace.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    wishes: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a peer's `kv-bench`, in this environment and no other.
    pub fn start(path: &Path, environment: Vec<(&'static str, String)>) -> Self {
        Self::of(Command::new(path), environment)
    }

    /// Starts any program that answers each line with one.
    pub fn of(mut command: Command, environment: Vec<(&'static str, String)>) -> Self {
        command.env_clear().envs(environment).stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut process =
            started.unwrap_or_else(|error| panic!("{}: {error}; build it first", command.get_program().display()));
        let (wishes, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, wishes, answers: BufReader::new(answers) }
    }

    /// Has it do this, and reads what it says of it.
    pub fn ask<T: DeserializeOwned>(&mut self, wish: &str) -> T {
        writeln!(self.wishes, "{wish}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the peer ended; its error is above")
    }

    fn run(&mut self, operation: &str) -> Vec<f64> {
        self.ask(&format!("{operation} {CALLS}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
