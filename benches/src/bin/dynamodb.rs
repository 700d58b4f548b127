//! `get` and `put` of 1 KB in DynamoDB: ours beside aws-sdk-dynamodb's, against the same server.
//!
//! `benches/aws.sh` builds what is compared, and runs this.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::key_value::Table;
use isobar::{Cloud, Environment};
use isobar_benches::bootstrap::environment;
use isobar_benches::dynamo::Dynamo;
use isobar_benches::{judged, median};
use tokio::runtime::Runtime;

const SDK: &str = "target/peers/aws-sdk/lambda/kv-bench";
const ROUNDS: usize = 41;
/// Calls of one side before it is the other's turn; as many as there are keys.
const CALLS: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for dynamo in [Some(Dynamo::double()), Dynamo::dynalite()].into_iter().flatten() {
        let mut sdk = Sdk::start(&dynamo);
        let variables = environment(dynamo.address).into_iter().map(|(name, value)| (name.to_owned(), value));
        let config = AwsConfig::from_environment(&Environment::new(variables, [])).unwrap();
        let table = Cloud::new(Arc::new(AwsProvider::new(config))).table::<Bytes>("links");
        // The puts come first, so that there is what the gets want.
        for operation in ["put", "get"] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let (our, their) = (isobar(&runtime, &table, operation), sdk.run(operation));
                if round > 0 {
                    ours.push(median(our));
                    theirs.push(median(their));
                }
            }
            show(operation, dynamo.name, median(ours), median(theirs));
        }
    }
}

fn show(operation: &str, server: &str, ours: f64, sdk: f64) {
    let ratio = ours / sdk;
    let what = format!("`{operation}` of 1 KB ({server})");
    let peer = format!("{sdk:.0} µs, aws-sdk-dynamodb");
    judged(&what, &format!("{ours:.0} µs"), &peer, &format!("{ratio:.2}"), "≤ 1.0", ratio <= 1.0);
}

/// What each call took, in microseconds.
fn isobar(runtime: &Runtime, table: &Table<Bytes>, operation: &str) -> Vec<f64> {
    let value = Bytes::from("v".repeat(1024));
    runtime.block_on(async {
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
    })
}

/// The SDK's side: a process, because its crates must stay out of this workspace.
struct Sdk {
    process: Child,
    wishes: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sdk {
    fn start(dynamo: &Dynamo) -> Self {
        let mut command = Command::new(SDK);
        command.env_clear().envs(environment(dynamo.address)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut process = started.unwrap_or_else(|error| panic!("{SDK}: {error}; run `benches/aws.sh build`"));
        let (wishes, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, wishes, answers: BufReader::new(answers) }
    }

    fn run(&mut self, operation: &str) -> Vec<f64> {
        writeln!(self.wishes, "{operation} {CALLS}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("kv-bench ended; its error is above")
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
