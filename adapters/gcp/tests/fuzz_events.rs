//! Thousands of calls that are nearly real, for some seconds: no panic, no wrong acknowledgement, no
//! secret in a log, nothing fired without a token, and each answer is whole, or a status that says what was wrong.
//!
//! `ISOBAR_FUZZ_SECONDS=60` takes longer; `ISOBAR_FUZZ_SEED=7` begins there, with the call that a
//! failure has printed. `fuzz/` has the same for libFuzzer, which `tests/fuzz_events/app.rs` serves too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

#[path = "fuzz_events/app.rs"]
mod app;

use std::cell::Cell;

use app::{Call, TRIGGERS, Target};
use fastrand::Rng;
use http_body_util::BodyExt;
use isobar_testkit::{Log, Mutant, Mutator, fixtures, fuzz};
use serde_json::Value;

/// Stands in bodies and headers of the fixtures, and in no name.
const SECRET: &str = "hunter2";

const WORDS: &str = "\"quoted\"|\"a\\\"|PHhtbD4=|PiBsYXRlcg==|0.3|google.cloud.pubsub.topic.v1.messagePublished\
    |google.cloud.storage.object.v1.finalized|google.cloud.storage.object.v1.deleted|com.example.order\
    |google.storage.object.delete|providers/cloud.storage/eventTypes/object.change|not_exists\
    |projects/_/buckets/pages/objects/a#1|projects/p/subscriptions/clicks|OBJECT_DELETE|OBJECT_FINALIZE|pages\
    |application/json|application/cloudevents+json|application/cloudevents-batch+json|2026-01-01T00:00:10Z\
    |0000-01-01T00:00:00Z|9999-12-31T23:59:59Z";

const NAMES: &str = "message|subscription|deliveryAttempt|data|data_base64|attributes|messageId|message_id\
    |orderingKey|publishTime|isobar-for|isobar-due|isobar-attempts|isobar-id|isobar-ordering-key|isobar-published-at\
    |traceparent|context|eventId|eventType|resource|timestamp|specversion|id|source|type|time|subject|bucket|name|size\
    |resourceState|bucketId|objectId|overwrittenByGeneration";

/// The fixtures, by the trigger that each is for, and their names.
fn seeds() -> Vec<(String, String, Call)> {
    let fixtures = fixtures(env!("CARGO_MANIFEST_DIR"), "call").into_iter();
    fixtures.map(|(name, file)| (name.split('.').next().unwrap().to_owned(), name, app::read(&file))).collect()
}

/// Headers are lost, changed, doubled, and taken from other calls.
fn mutate_headers(headers: &mut Vec<(String, String)>, seeds: &[Call], mutator: &Mutator, rng: &mut Rng) {
    for _ in 0..rng.usize(1..4) {
        if headers.is_empty() {
            break;
        }
        let place = rng.usize(0..headers.len());
        match rng.u8(0..5) {
            0 => drop(headers.remove(place)),
            1 => headers[place].1 = mutator.word(rng).to_owned(),
            2 => headers[place].1.push_str(mutator.word(rng)),
            3 => headers.push((headers[place].0.clone(), mutator.word(rng).to_owned())),
            _ => headers.extend(rng.choice(seeds).unwrap().0.clone()),
        }
    }
}

#[test]
fn no_call_makes_the_host_panic_acknowledge_wrongly_or_tell_a_secret() {
    let (open, guarded) = (Target::open(), Target::guarded());
    let seeds: Vec<Call> = seeds().into_iter().map(|(_, _, call)| call).collect();
    let values: Vec<Value> = seeds.iter().filter_map(|(_, body)| serde_json::from_slice(body).ok()).collect();
    let (mutator, log, taken) = (Mutator::new(WORDS, NAMES), Log::start(), Cell::new(0));
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
                let success = attempt(&open, trigger, log, &call, *in_place).await;
                taken.set(taken.get() + usize::from(success));
            } else {
                unproven(&guarded, trigger, call).await;
            }
            log.take();
        },
    );
    assert!(taken.get() > 0 || calls < 100, "calls that are all refused try nothing");
}

/// A call that needs no token. Was it taken?
async fn attempt(target: &Target, trigger: &str, log: Log, call: &Call, in_place: bool) -> bool {
    target.acknowledged.take();
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
        assert_eq!(target.acknowledged.take(), usize::from(parts.status.is_success()), "{shown}");
    }
    parts.status.is_success()
}

/// A call without a good token, which fires nothing, whatever it is.
async fn unproven(target: &Target, trigger: &str, (mut headers, body): Call) {
    let shown = headers.first().map_or(String::new(), |(_, value)| value.clone());
    headers.push(("authorization".to_owned(), format!("Bearer {shown}.eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.{shown}")));
    let answer = target.handle(trigger, &(headers, body)).await;
    assert_eq!((answer.status().as_u16(), target.acknowledged.take()), (401, 0));
}

#[tokio::test]
async fn each_fixture_does_what_it_says() {
    let target = Target::open();
    for (trigger, name, call) in seeds() {
        let answered = target.handle(&trigger, &call).await;
        let kind = name.split('.').nth(1).unwrap();
        let wanted = match kind {
            // There is no topic to keep them in.
            "rejected" | "retried" => 500,
            "call" => 200,
            _ => 204,
        };
        assert_eq!(answered.status().as_u16(), wanted, "{name}");
        // What was overwritten is told by the event of what overwrote it, and what was archived is there yet.
        let handled = match &*trigger {
            "bucket-pages" => !["eventarc-archived", "notification-overwritten"].contains(&kind),
            trigger => trigger == "topic-clicks",
        };
        let acknowledged = usize::from(handled && wanted == 204);
        assert_eq!(target.acknowledged.take(), acknowledged, "{name}");
    }
}
