//! Thousands of mutated real events for some seconds: no panic, no wrong acknowledgement, no
//! secret in an error or a log, and each response is JSON or an error of an expected kind.
//!
//! `ISOBAR_FUZZ_SECONDS=60` runs longer; `ISOBAR_FUZZ_SEED=7` starts with the event that a failure
//! has printed. `fuzz/` has the same for libFuzzer, with the same `tests/fuzz_events/app.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // a test fails by panicking

#[path = "fuzz_events/app.rs"]
mod app;

use app::Target;
use http_body_util::BodyExt;
use isobar_abstraction::{ErrorKind, Result};
use isobar_aws::LambdaReply;
use isobar_testkit::{Log, Mutant, Mutator, fixtures, fuzz};
use serde_json::{Value, json};

/// Text in bodies, headers and cookies of the seeds, and in no name.
const SECRET: &str = "hunter2";

const WORDS: &str = "?|#|GET|HEAD|2.0|$default|AP/+|AP/|<xml>|> later|aws:sqs|aws:sns|aws:s3|aws.s3|s3:TestEvent\
    |Object Created|Scheduled Event|invoke|ping|schedule|size|sweep|ObjectCreated:Put|ObjectRemoved:Delete\
    |arn:aws:sqs:eu-west-1:123456789012:clicks|arn:aws:sns:eu-west-1:123456789012:clicks\
    |arn:aws:sqs:eu-west-1:123456789012:pages--events|arn:aws:sqs:eu-west-1:123456789012:links--writes|aws:dynamodb\
    |arn:aws:dynamodb:eu-west-1:1:table/links/stream/1|table/links|INSERT|{\"due\":18446744073709551615}|arn:aws:sqs:::clicks|arn:aws:sqs:x.y/z:1:clicks|arn\
    |{\"enc\":\"base64\"}|{\"dead\":{}}|{\"at\":18446744073709551615}";

const NAMES: &str = "isobar|function|payload|Records|eventSource|EventSource|eventSourceARN|messageId|body\
    |isBase64Encoded|requestContext|elb|http|version|httpMethod|resource|headers|cookies|multiValueHeaders\
    |pathParameters|isobar.meta|stringValue|MessageGroupId|Sns|detail|warmer\
    |dynamodb|eventName|Keys|pk|sk|S|N|ApproximateFirstReceiveTimestamp";

fn seeds() -> Vec<Value> {
    let fixtures = fixtures(env!("CARGO_MANIFEST_DIR"), "json");
    let fixtures = fixtures.iter().map(|(_, content)| serde_json::from_slice(content).unwrap());
    // These events reach more code of the host, so they are used more often.
    fixtures.chain([own(), own(), own()].into_iter().flatten()).collect()
}

/// Events for the app's triggers, which are not in public fixtures.
fn own() -> Vec<Value> {
    let record = |queue: &str, id: &str, body: &str| {
        json!({
            "messageId": id, "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000", "MessageGroupId": "g"},
            "messageAttributes": {"isobar.meta": {"stringValue": "{\"id\":\"m\",\"at\":1}", "dataType": "String"}},
            "eventSourceARN": format!("arn:aws:sqs:eu-west-1:123456789012:{queue}"),
        })
    };
    let bodies = ["plain hunter2", "<xml hunter2>", "> hunter2"];
    let batch = |queue: &str| bodies.iter().zip('a'..).map(|(body, id)| record(queue, &id.to_string(), body)).collect();
    let batches = ["clicks", "clicks.fifo"].map(|queue| json!({"Records": Value::Array(batch(queue))}));
    let s3 = json!({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T00:00:00Z",
        "s3": {"bucket": {"name": "pages"}, "object": {"key": "a%20b", "size": 7}},
    }]});
    let sns = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:clicks",
        "Message": "<xml hunter2>", "Timestamp": "2026-01-01T00:00:00Z", "MessageAttributes": {},
    });
    let writes = ["INSERT", "REMOVE"].map(|name| {
        json!({
            "eventName": name, "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": {"pk": {"S": "a"}, "sk": {"S": "!"}}, "NewImage": {"value": {"S": SECRET}}},
            "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/links/stream/2026-01-01T00:00:00.000",
        })
    });
    let mut all = vec![
        json!({"Records": [record("pages--events", "a", &s3.to_string())]}),
        json!({"Records": [record("clicks", "a", &sns.to_string())]}),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": sns}]}),
        s3,
        json!({"Records": [record("links--writes", "a", r#"{"table":"links","key":{"partition":"a","sort":"b"}}"#)]}),
        json!({ "Records": writes }),
        json!({"source": "aws.s3", "detail-type": "Object Created", "time": "2026-01-01T00:00:00Z",
            "detail": {"bucket": {"name": "pages"}, "object": {"key": "a b", "size": 7}}}),
        json!({"source": "aws.events", "detail-type": "Scheduled Event", "resources": ["arn:aws:events:e:1:rule/sweep"]}),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "pages"}),
        json!({"isobar": "invoke", "function": "size", "payload": {"password": SECRET}}),
        json!({"isobar": "schedule", "schedule": "sweep", "due": "2026-01-01T00:00:00Z"}),
        json!({"isobar": "ping"}),
        json!({"version": "2.0", "rawPath": "/a", "rawQueryString": "token=hunter2", "cookies": ["session=hunter2"],
            "headers": {"authorization": "Bearer hunter2"}, "body": "aHVudGVyMg==", "isBase64Encoded": true,
            "requestContext": {"stage": "$default", "domainName": "x.lambda-url.eu-west-1.on.aws",
                "http": {"method": "POST", "path": "/a"}}}),
    ];
    all.extend(batches);
    all
}

#[test]
fn host_never_panics_acknowledges_wrongly_or_reveals_a_secret() {
    let (seeds, targets) = (seeds(), [Target::new("BUFFERED"), Target::new("RESPONSE_STREAM")]);
    let bodies: Vec<_> = seeds.iter().map(|seed| seed.to_string().into_bytes()).collect();
    let (mutator, log) = (Mutator::new(WORDS, NAMES), Log::start());
    fuzz(
        |rng| {
            let mutant = mutator.mutant(rng.choice(&bodies).unwrap(), &seeds, 1..4, rng);
            (usize::from(rng.u8(0..4) == 0), mutant)
        },
        async |(target, mutant)| attempt(&targets[*target], log, mutant).await,
    );
}

async fn attempt(target: &Target, log: Log, Mutant { bytes: event, in_place }: &Mutant) {
    target.acknowledged.take();
    log.take();
    let reply = target.handle(event).await;
    let text = match &reply {
        Ok(LambdaReply::Json(json)) => String::from_utf8_lossy(json).into_owned(),
        Ok(LambdaReply::Stream(response)) => format!("{:?}", response.headers()),
        Err(error) => format!("{error} {error:?}"),
    };
    let logged = log.take();
    assert!(!in_place || ![&text, &logged].iter().any(|it| it.contains(SECRET)), "a secret: {text} {logged}");
    assert_settled(target, event, &reply);
    match reply {
        Ok(LambdaReply::Json(json)) => drop(serde_json::from_slice::<Value>(&json).unwrap()),
        Ok(LambdaReply::Stream(response)) => drop(response.into_body().collect().await.unwrap()),
        Err(error) => assert_expected(&error),
    }
}

/// Checks that an error is the fault of the event or of the unreachable AWS, and not a bug in isobar.
fn assert_expected(error: &isobar_abstraction::Error) {
    use ErrorKind::{Config, InvalidInput, NotFound, Unavailable};
    assert!([Config, InvalidInput, NotFound, Unavailable].contains(&error.kind()), "{error:?}");
    assert!(!error.message().is_empty());
}

/// Checks that a message of the topic is acknowledged to Lambda exactly if the app acknowledged it, since
/// dead letters cannot be stored.
fn assert_settled(target: &Target, event: &[u8], reply: &Result<LambdaReply>) {
    let Ok(LambdaReply::Json(answer)) = reply else { return };
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let (Some(failures), Ok(event)) = (answer["batchItemFailures"].as_array(), serde_json::from_slice::<Value>(event))
    else {
        return;
    };
    let records = event["Records"].as_array().unwrap();
    let ids: Vec<_> = records.iter().map(|record| &record["messageId"]).collect();
    assert!(failures.iter().all(|failure| ids.contains(&&failure["itemIdentifier"])), "{answer}");
    let of_topic = |record: &&Value| record["eventSourceARN"].as_str().is_some_and(|arn| arn.contains(":clicks"));
    if records.iter().all(|record| of_topic(&record)) {
        assert_eq!(target.acknowledged.take(), records.len() - failures.len(), "{answer}");
    }
}

/// A batch with a rejected message, whose dead letter cannot be stored.
fn rejected() -> Vec<u8> {
    let batch = own().into_iter().find(|it| it["Records"].as_array().is_some_and(|records| records.len() == 3));
    batch.unwrap().to_string().into_bytes()
}

#[tokio::test]
async fn log_that_is_searched_for_secrets_is_that_of_the_host() {
    let log = Log::start();
    Target::new("BUFFERED").handle(&rejected()).await.unwrap();
    let logged = log.take();
    assert!(logged.contains("a dead letter cannot be stored") && logged.contains("invocation=\"req-1\""), "{logged}");
}

#[test]
#[should_panic(expected = "batchItemFailures")]
fn acknowledgement_without_a_handler_is_detected() {
    let answer = LambdaReply::Json(r#"{"batchItemFailures":[]}"#.into());
    assert_settled(&Target::new("BUFFERED"), &rejected(), &Ok(answer));
}
