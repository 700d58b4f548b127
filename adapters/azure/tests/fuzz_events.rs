//! Thousands of calls that are nearly real, for some seconds: no panic, no wrong acknowledgement, no
//! secret in an answer or a log, and each answer is whole, or a status that says what was wrong.
//!
//! `ISOBAR_FUZZ_SECONDS=60` takes longer; `ISOBAR_FUZZ_SEED=7` begins there, with the call that a
//! failure has printed. `fuzz/` has the same for libFuzzer, which `tests/fuzz_events/app.rs` serves too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

#[path = "fuzz_events/app.rs"]
mod app;
#[path = "fuzz_events/log.rs"]
mod log;
#[path = "fuzz_events/mutate.rs"]
mod mutate;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

use app::{FUNCTIONS, KEY, OLD_KEY, Target};
use fastrand::Rng;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use log::Log;
use mutate::{Mutant, mutant};
use serde_json::Value;

/// Stands in bodies, headers and queries of the fixtures, and in no name.
const SECRET: &str = "hunter2";

/// The fixtures, by the function that each is for.
fn seeds() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "json"));
    files.sort();
    let named = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.split('.').next().unwrap().to_owned(), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    files.iter().map(named).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn targets() -> [Target; 2] {
    [Target::new("azqueue://clicks"), Target::new("servicebus://clicks")]
}

#[test]
fn no_call_makes_the_host_panic_acknowledge_wrongly_or_tell_a_secret() {
    let seconds = number("ISOBAR_FUZZ_SECONDS").unwrap_or(3);
    let first = number("ISOBAR_FUZZ_SEED").unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (seeds, targets) = (seeds(), targets());
    let values: Vec<Value> = seeds.iter().map(|(_, value)| value.clone()).collect();
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let began = Instant::now();
    let mut seed = first;
    while began.elapsed() < Duration::from_secs(seconds) {
        let mut rng = Rng::with_seed(seed);
        let mutant = mutant(&values, &mut rng);
        let function = FUNCTIONS[rng.usize(0..FUNCTIONS.len())];
        let tried = AssertUnwindSafe(attempt(&targets[rng.usize(0..2)], function, &log, &mutant)).catch_unwind();
        if runtime.block_on(tried).is_err() {
            let call = String::from_utf8_lossy(&mutant.event);
            panic!("ISOBAR_FUZZ_SEED={seed}: {function} {}", call.chars().take(20_000).collect::<String>());
        }
        seed += 1;
    }
    eprintln!("{} calls in {:?}", seed - first, began.elapsed());
}

async fn attempt(target: &Target, function: &str, log: &Log, Mutant { event, in_place }: &Mutant) {
    target.acknowledged();
    log.take();
    let (parts, body) = target.handle(function, event).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (shown, logged) = (String::from_utf8_lossy(&body), log.take());
    for key in [KEY, OLD_KEY] {
        assert!(!shown.contains(key) && !logged.contains(key), "the trigger's secret: {shown} {logged}");
    }
    assert!(!in_place || !logged.contains(SECRET), "a secret: {logged}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    match parts.status.as_u16() {
        200 => assert!(answer["Outputs"].is_object() && answer["Logs"].is_array(), "{answer}"),
        400 | 404 | 413 | 500 => assert!(answer["errorType"].is_string(), "{answer}"),
        other => panic!("{other} {answer}"),
    }
    // Dead letters cannot be kept here, so nothing but the app's own `Ack` may complete a message; and a
    // copy for another subscription is completed unseen.
    let foreign = String::from_utf8_lossy(event).contains("isobar-for");
    if ["topic-clicks", "fifo-clicks"].contains(&function) && !foreign {
        assert_eq!(target.acknowledged(), usize::from(parts.status.is_success()), "{answer}");
    }
}

#[tokio::test]
async fn each_fixture_does_what_it_says() {
    let [queue, service_bus] = targets();
    for (function, call) in seeds() {
        let call = call.to_string();
        let target = if call.contains("DeliveryCount") { &service_bus } else { &queue };
        let answered = target.handle(&function, call.as_bytes()).await;
        let wanted = if call.contains("<xml") { 500 } else { 200 };
        assert_eq!(answered.status().as_u16(), wanted, "{function} {call}");
    }
}
