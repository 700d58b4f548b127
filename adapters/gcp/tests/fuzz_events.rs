//! Calls the host with thousands of mutated requests: no panic, no wrong acknowledgement, no secret in a log, no
//! trigger without a token, and each response is complete or has a status with the reason.
//!
//! `ISOBAR_FUZZ_SECONDS=60` runs longer; `ISOBAR_FUZZ_SEED=7` starts with the seed that a failure has printed. `fuzz/`
//! does the same with libFuzzer, and shares `tests/fuzz_events/app.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

#[path = "fuzz_events/app.rs"]
mod app;

use std::cell::Cell;

use app::{Call, TRIGGERS, Target};
use fastrand::Rng;
use http_body_util::BodyExt;
use isobar_testkit::{Log, Mutant, Mutator, fixtures, fuzz};
use serde_json::Value;

/// A secret in bodies and headers of the fixtures, but in no name.
const SECRET: &str = "hunter2";

const WORDS: &str = "\"quoted\"|\"a\\\"|PHhtbD4=|PiBsYXRlcg==|0.3|google.cloud.pubsub.topic.v1.messagePublished\
    |google.cloud.storage.object.v1.finalized|google.cloud.storage.object.v1.deleted|com.example.order\
    |google.storage.object.delete|providers/cloud.storage/eventTypes/object.change|not_exists\
    |projects/_/buckets/pages/objects/a#1|projects/p/subscriptions/clicks|OBJECT_DELETE|OBJECT_FINALIZE|pages\
    |google.cloud.firestore.document.v1.written|google.cloud.firestore.document.v1.deleted|links/x/links/s.1\
    |//firestore.googleapis.com/projects/p-1/databases/other|application/protobuf\
    |application/json|application/cloudevents+json|application/cloudevents-batch+json|2026-01-01T00:00:10Z\
    |0000-01-01T00:00:00Z|9999-12-31T23:59:59Z";

const NAMES: &str = "message|subscription|deliveryAttempt|data|data_base64|attributes|messageId|message_id\
    |orderingKey|publishTime|isobar-for|isobar-due|isobar-attempts|isobar-id|isobar-ordering-key|isobar-published-at\
    |traceparent|context|eventId|eventType|resource|timestamp|specversion|id|source|type|time|subject|bucket|name|size\
    |value|oldValue|table|key|partition|sort|resourceState|bucketId|objectId|overwrittenByGeneration";

/// The fixtures with their triggers and names.
fn seeds() -> Vec<(String, String, Call)> {
    let fixtures = fixtures(env!("CARGO_MANIFEST_DIR"), "call").into_iter();
    fixtures.map(|(name, file)| (name.split('.').next().unwrap().to_owned(), name, app::read(&file))).collect()
}

/// Removes, changes and repeats headers, and copies headers of other calls.
fn mutate_headers(headers: &mut Vec<(String, String)>, seeds: &[Call], mutator: &Mutator, rng: &mut Rng) {
    for _ in 0..rng.usize(1..4) {
        if headers.is_empty() {
            break;
        }
        let index = rng.usize(0..headers.len());
        match rng.u8(0..5) {
            0 => drop(headers.remove(index)),
            1 => headers[index].1 = mutator.word(rng).to_owned(),
            2 => headers[index].1.push_str(mutator.word(rng)),
            3 => headers.push((headers[index].0.clone(), mutator.word(rng).to_owned())),
            _ => headers.extend(rng.choice(seeds).unwrap().0.clone()),
        }
    }
}

#[test]
fn no_call_makes_the_host_panic_acknowledge_wrongly_or_log_a_secret() {
    let (open, guarded) = (Target::open(), Target::guarded());
    let seeds: Vec<Call> = seeds().into_iter().map(|(_, _, call)| call).collect();
    let values: Vec<Value> = seeds.iter().filter_map(|(_, body)| serde_json::from_slice(body).ok()).collect();
    let (mutator, log, successes) = (Mutator::new(WORDS, NAMES), Log::start(), Cell::new(0));
    let calls = fuzz(
        |rng| {
            let (mut headers, body) = rng.choice(&seeds).unwrap().clone();
            let mutant = mutator.mutant(&body, &values, 0..4, rng);
            if rng.u8(0..3) == 0 {
                mutate_headers(&mut headers, &seeds, &mutator, rng);
            }
            (rng.choice(TRIGGERS).unwrap(), rng.u8(0..8) > 0, headers, mutant)
        },
        async |(trigger, is_open, headers, Mutant { bytes, in_place })| {
            let call = (headers.clone(), bytes.clone());
            if *is_open {
                let success = call_open(&open, trigger, log, &call, *in_place).await;
                successes.set(successes.get() + usize::from(success));
            } else {
                call_guarded(&guarded, trigger, call).await;
            }
            log.take();
        },
    );
    assert!(successes.get() > 0 || calls < 100, "without a success the test checks nothing");
}

/// Makes a call that needs no token. Returns whether it succeeded.
async fn call_open(target: &Target, trigger: &str, log: Log, call: &Call, in_place: bool) -> bool {
    target.acknowledged.take();
    let (parts, body) = target.handle(trigger, call).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (text, logged) = (String::from_utf8_lossy(&body), log.take());
    assert!(!logged.contains("the host panicked"), "{logged}");
    assert!(!in_place || !logged.contains(SECRET), "a secret: {logged}");
    match parts.status.as_u16() {
        204 => assert!(body.is_empty() && !trigger.starts_with("invoke"), "{text}"),
        200 => assert!(trigger.starts_with("invoke") && serde_json::from_slice::<Value>(&body).is_ok(), "{text}"),
        400 | 404 | 413 | 415 | 500 => {
            let answer: Value = serde_json::from_slice(&body).unwrap();
            assert!(answer["errorType"].is_string() && text.len() < 2_000, "{text}");
            assert!(!text.contains("the host panicked"), "{text}");
        }
        other => panic!("{other} {text}"),
    }
    // Copies and dead letters cannot be published here, so only the app's `Ack` may acknowledge a message. A copy for
    // another subscription is acknowledged without the app.
    let (headers, body) = call;
    let foreign = String::from_utf8_lossy(body).contains("isobar-for")
        || headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("isobar-for"));
    if trigger == "topic-clicks" && !foreign {
        assert_eq!(target.acknowledged.take(), usize::from(parts.status.is_success()), "{text}");
    }
    parts.status.is_success()
}

/// Makes a call without a valid token, which must not reach the app.
async fn call_guarded(target: &Target, trigger: &str, (mut headers, body): Call) {
    let value = headers.first().map_or(String::new(), |(_, value)| value.clone());
    headers.push(("authorization".to_owned(), format!("Bearer {value}.eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.{value}")));
    let answer = target.handle(trigger, &(headers, body)).await;
    assert_eq!((answer.status().as_u16(), target.acknowledged.take()), (401, 0));
}

#[tokio::test]
async fn each_fixture_has_the_result_in_its_name() {
    let target = Target::open();
    for (trigger, name, call) in seeds() {
        let answered = target.handle(&trigger, &call).await;
        let kind = name.split('.').nth(1).unwrap();
        let expected = match kind {
            // No topic can be reached to publish a copy, a dead letter or the key of a write.
            "rejected" | "retried" | "firestore-written" | "firestore-created" | "firestore-json" => 500,
            "call" => 200,
            _ => 204,
        };
        assert_eq!(answered.status().as_u16(), expected, "{name}");
        // Apps receive no change for a replaced version, which has the event of the new object, and none for an
        // archived one.
        let handled = match &*trigger {
            "bucket-pages" => !["eventarc-archived", "notification-overwritten"].contains(&kind),
            trigger => trigger == "topic-clicks",
        };
        let acknowledged = usize::from(handled && expected == 204);
        assert_eq!(target.acknowledged.take(), acknowledged, "{name}");
    }
}
