//! Sends mutated calls for some seconds: no panic, no wrong acknowledgement, no secret in a response or a log, and each
//! response is complete, or an error with its status.
//!
//! `ISOBAR_FUZZ_SECONDS=60` runs longer; `ISOBAR_FUZZ_SEED=7` starts with the seed that a failure has printed. `fuzz/`
//! has the same target for libFuzzer, which also uses `tests/fuzz_events/app.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

#[path = "fuzz_events/app.rs"]
mod app;

use app::{FUNCTIONS, KEY, OLD_KEY, Target};
use http_body_util::BodyExt;
use isobar_testkit::{Log, Mutant, Mutator, fixtures, fuzz};
use serde_json::Value;

/// A secret in bodies, headers and queries of the fixtures, and in no name.
const SECRET: &str = "hunter2";

const WORDS: &str = "?|#|GET|\"hello\"|\"\\\"twice\\\"\"|<xml>|> later|Microsoft.Storage.BlobCreated\
    |Microsoft.Storage.BlobDeleted|/blobServices/default/containers/pages/blobs/a\
    |/blobServices/default/containers//blobs/|0001-01-01T00:00:00|https://shop.example/a?b=c|application/octet-stream";

const NAMES: &str = "Data|Metadata|message|req|Url|Method|Headers|Body|DequeueCount|DeliveryCount|RetryContext\
    |RetryCount|ApplicationProperties|UserProperties|isobar-for|eventType|specversion|subject|data|contentLength\
    |ScheduleStatus|Next|documents|id|p|s|x|table|key|partition|sort";

/// The fixtures, each with its function.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let fixtures = fixtures(env!("CARGO_MANIFEST_DIR"), "json").into_iter();
    fixtures.map(|(name, content)| (name.split('.').next().unwrap().to_owned(), content)).collect()
}

fn targets() -> [Target; 2] {
    [Target::new("azqueue://clicks"), Target::new("servicebus://clicks")]
}

#[test]
fn no_call_makes_the_host_panic_acknowledge_wrongly_or_show_a_secret() {
    let (seeds, targets) = (seeds(), targets());
    let values: Vec<Value> = seeds.iter().map(|(_, call)| serde_json::from_slice(call).unwrap()).collect();
    let (mutator, log) = (Mutator::new(WORDS, NAMES), Log::start());
    fuzz(
        |rng| {
            let (of, call) = rng.choice(&seeds).unwrap();
            let mut mutant = mutator.mutant(call, &values, 1..4, rng);
            let function = rng.choice(FUNCTIONS).unwrap();
            // The log contains the keys of writes, and a body that reaches this function by chance may be read as a key.
            mutant.in_place &= function == of || !["feed-links", "writes-links"].contains(&function);
            (function, rng.usize(0..2), mutant)
        },
        async |(function, target, mutant)| attempt(&targets[*target], function, log, mutant).await,
    );
}

async fn attempt(target: &Target, function: &str, log: Log, Mutant { bytes: event, in_place }: &Mutant) {
    target.acknowledged.take();
    log.take();
    let (parts, body) = target.handle(function, event).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (text, logged) = (String::from_utf8_lossy(&body), log.take());
    for key in [KEY, OLD_KEY] {
        assert!(!text.contains(key) && !logged.contains(key), "the trigger's secret: {text} {logged}");
    }
    assert!(!in_place || !logged.contains(SECRET), "a secret: {logged}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    match parts.status.as_u16() {
        200 => assert!(answer["Outputs"].is_object() && answer["Logs"].is_array(), "{answer}"),
        400 | 404 | 413 | 500 => assert!(answer["errorType"].is_string(), "{answer}"),
        other => panic!("{other} {answer}"),
    }
    // Dead letters cannot be stored here, so only the app's `Ack` may complete a message; a copy for another subscription
    // is completed without a call of the app.
    let foreign = String::from_utf8_lossy(event).contains("isobar-for");
    if ["topic-clicks", "fifo-clicks"].contains(&function) && !foreign {
        assert_eq!(target.acknowledged.take(), usize::from(parts.status.is_success()), "{answer}");
    }
}

/// No document can be stored here, so a call succeeds only without a key of the app's.
#[tokio::test]
async fn a_hostile_feed_is_acknowledged_only_without_keys() {
    let target = Target::new("servicebus://clicks");
    let own = "s9I-_v_SPv79mbG93"; // U+10FFFF U+10FFFF flow
    let many = serde_json::json!({"id": "sYQ", "p": "a"}).to_string();
    let many = format!("[{}]", vec![many; 10_000].join(","));
    for (documents, expected) in [
        ("[]", 200),
        ("{}", 400),
        ("[7,null,[],{}]", 200),
        (r#"[{"id":"order-1","p":"a"},{"id":"sYQ","p":7},{"id":"sYQ"}]"#, 200),
        (r#"[{"id":"sYQ","p":"a","x":0,"ttl":1}]"#, 200),
        (&format!(r#"[{{"id":"{own}","p":"a"}}]"#), 200),
        (&many, 500),
    ] {
        for text in [documents.to_owned(), Value::from(documents).to_string()] {
            let call = serde_json::json!({"Data": {"documents": text}, "Metadata": {}}).to_string();
            let status = target.handle("feed-links", call.as_bytes()).await.status();
            assert_eq!(status.as_u16(), expected, "{}", &documents[..documents.len().min(99)]);
        }
    }
}

#[tokio::test]
async fn each_fixture_has_its_expected_status() {
    let ([queue, service_bus], mut texts) = (targets(), Vec::new());
    for (function, call) in seeds() {
        let text = String::from_utf8_lossy(&call);
        let target = if text.contains("DeliveryCount") { &service_bus } else { &queue };
        let answered = target.handle(&function, &call).await;
        // A rejected message and a key cannot be stored here.
        let unstored = text.contains("<xml") || text.contains("_lsn");
        let expected = if unstored { 500 } else { 200 };
        assert_eq!(answered.status().as_u16(), expected, "{function} {text}");
        if function == "http" {
            let body = answered.into_body().collect().await.unwrap().to_bytes();
            texts.push(String::from_utf8_lossy(&body).contains(r#""body":"ok""#));
        }
    }
    assert_eq!(texts, [true, false], "the app's response is a text, or bytes that JSON cannot contain");
}
