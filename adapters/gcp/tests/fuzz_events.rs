//! Thousands of calls that are nearly real, for some seconds: no panic, no wrong acknowledgement, no
//! secret in a log, nothing fired without a token, and each answer is whole, or a status that says what was wrong.
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

use app::{Call, TRIGGERS, Target};
use fastrand::Rng;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use log::Log;
use mutate::{Mutant, mutant};
use serde_json::Value;

/// Stands in bodies and headers of the fixtures, and in no name.
const SECRET: &str = "hunter2";

/// The fixtures, by the trigger that each is for, and their names.
fn seeds() -> Vec<(String, String, Call)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "call"));
    files.sort();
    assert!(files.len() > 10, "the fixtures are there");
    let named = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.split('.').next().unwrap().to_owned(), name.to_owned(), app::read(&std::fs::read(path).unwrap()))
    };
    files.iter().map(named).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn no_call_makes_the_host_panic_acknowledge_wrongly_or_tell_a_secret() {
    let seconds = number("ISOBAR_FUZZ_SECONDS").unwrap_or(3);
    let first = number("ISOBAR_FUZZ_SEED").unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (open, guarded) = (Target::open(), Target::guarded());
    let seeds: Vec<Call> = seeds().into_iter().map(|(_, _, call)| call).collect();
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let (began, mut seed, mut taken) = (Instant::now(), first, 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        let mut rng = Rng::with_seed(seed);
        let mutant = mutant(&seeds, &mut rng);
        let trigger = TRIGGERS[rng.usize(0..TRIGGERS.len())];
        let tried = match rng.u8(0..8) {
            0 => runtime.block_on(AssertUnwindSafe(unproven(&guarded, trigger, &log, &mutant)).catch_unwind()),
            _ => runtime.block_on(AssertUnwindSafe(attempt(&open, trigger, &log, &mutant)).catch_unwind()),
        };
        let Ok(success) = tried else {
            let (headers, body) = &mutant.call;
            let body: String = String::from_utf8_lossy(body).chars().take(20_000).collect();
            panic!("ISOBAR_FUZZ_SEED={seed}: {trigger} {headers:?} {body}");
        };
        taken += usize::from(success);
        seed += 1;
    }
    let calls = seed - first;
    eprintln!("{calls} calls in {:?}, of which {taken} were taken", began.elapsed());
    assert!(taken > 0 || calls < 100, "calls that are all refused try nothing");
}

/// A call that needs no token. Was it taken?
async fn attempt(target: &Target, trigger: &str, log: &Log, Mutant { call, in_place }: &Mutant) -> bool {
    target.acknowledged();
    log.take();
    let (parts, body) = target.handle(trigger, call).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (shown, logged) = (String::from_utf8_lossy(&body), log.take());
    assert!(!logged.contains("the host panicked"), "{logged}");
    assert!(!in_place || !logged.contains(SECRET), "a secret: {logged}");
    match parts.status.as_u16() {
        204 => assert!(body.is_empty() && !trigger.starts_with("invoke"), "{shown}"),
        200 => assert!(trigger.starts_with("invoke") && serde_json::from_slice::<Value>(&body).is_ok(), "{shown}"),
        400 | 404 | 413 | 415 | 500 => {
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert!(answer["errorType"].is_string() && shown.len() < 2_000, "{shown}");
            assert!(!shown.contains("the host panicked"), "{shown}");
        }
        other => panic!("{other} {shown}"),
    }
    // Neither copies nor dead letters can be kept here, so nothing but the app's own `Ack` may acknowledge a
    // message; and a copy for another subscription is acknowledged unseen.
    let (headers, body) = call;
    let foreign = String::from_utf8_lossy(body).contains("isobar-for")
        || headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("isobar-for"));
    if trigger == "topic-clicks" && !foreign {
        assert_eq!(target.acknowledged(), usize::from(parts.status.is_success()), "{shown}");
    }
    parts.status.is_success()
}

/// A call without a good token, which fires nothing, whatever it is.
async fn unproven(target: &Target, trigger: &str, log: &Log, Mutant { call, .. }: &Mutant) -> bool {
    let (mut headers, body) = call.clone();
    let shown = headers.first().map_or(String::new(), |(_, value)| value.clone());
    headers.push(("authorization".to_owned(), format!("Bearer {shown}.eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.{shown}")));
    let answer = target.handle(trigger, &(headers, body)).await;
    assert_eq!((answer.status().as_u16(), target.acknowledged()), (401, 0));
    log.take();
    false
}

#[tokio::test]
async fn each_fixture_does_what_it_says() {
    let target = Target::open();
    for (trigger, name, call) in seeds() {
        let answered = target.handle(&trigger, &call).await;
        let wanted = match name.split('.').nth(1).unwrap() {
            // There is no topic to keep them in.
            "rejected" | "retried" => 500,
            "call" => 200,
            _ => 204,
        };
        assert_eq!(answered.status().as_u16(), wanted, "{name}");
        let acknowledged = usize::from(trigger == "topic-clicks" && wanted == 204);
        assert_eq!(target.acknowledged(), acknowledged, "{name}");
    }
}
