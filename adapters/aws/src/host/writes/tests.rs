//! Events of DynamoDB streams, on an SQS whose responses a test sets.

use ::http::Response;
use isobar_abstraction::ErrorKind;
use isobar_testkit::Double;
use serde_json::{Value, json};

use crate::host::tests::{Host, shop, triggers};

fn record(table: &str, name: &str, keys: &Value) -> Value {
    json!({
        "eventID": "1", "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
        "dynamodb": {"Keys": keys, "NewImage": {"value": {"S": "hunter2"}}, "SequenceNumber": "1", "StreamViewType": "KEYS_ONLY"},
        "eventSourceARN":
            format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/2026-01-01T00:00:00.000"),
    })
}

fn keys(partition: &str, sort: &str) -> Value {
    json!({"pk": {"S": partition}, "sk": {"S": sort}})
}

fn written(partition: &str, sort: &str) -> Value {
    record("links", "INSERT", &keys(partition, sort))
}

/// An SQS that stores messages, except those whose body contains this text.
async fn sqs(refused: &'static str) -> Double {
    Double::new(move |request| {
        let batch: Value = serde_json::from_slice(request.body()).unwrap();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in batch["Entries"].as_array().unwrap() {
            let is_refused = !refused.is_empty() && entry["MessageBody"].as_str().unwrap().contains(refused);
            let list = if is_refused { &mut failed } else { &mut successful };
            list.push(json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}));
        }
        let answer = json!({"Successful": successful, "Failed": failed}).to_string();
        Response::builder().status(200).body(answer).unwrap()
    })
    .await
}

/// The bodies in each request, in the order of the requests.
fn sent(sqs: &Double) -> Vec<Vec<String>> {
    let bodies = |at| {
        let batch: Value = sqs.request(at, |it| serde_json::from_slice(it.body()).unwrap());
        assert_eq!(batch["QueueUrl"], format!("{}/123456789012/links--writes", sqs.url));
        let entries = batch["Entries"].as_array().unwrap().iter();
        entries.map(|it| it["MessageBody"].as_str().unwrap().to_owned()).collect()
    };
    (0..sqs.requests().len()).map(bodies).collect()
}

async fn ask(host: &Host, records: &[Value]) -> isobar_abstraction::Result<Value> {
    host.ask(&json!({"Records": records})).await
}

#[tokio::test]
async fn keys_of_writes_are_stored_in_the_queue_before_the_stream_is_acknowledged() {
    let sqs = sqs("").await;
    let host = Host::with(&sqs.url, &[], triggers("index"));
    let records = [
        written("ada", "!"),
        record("links", "MODIFY", &keys("ada", "!")),
        written("b\u{ffff}", "!!x"),
        record("links", "REMOVE", &keys("gone", "a")),
        written("ada", "\u{10FFFF}\u{10FFFF}flow/step"),
    ];
    assert_eq!(ask(&host, &records).await.unwrap(), json!({"batchItemFailures": []}));
    let body = |partition: &str, sort: &str| {
        format!(r#"{{"table":"links","key":{{"partition":"{partition}","sort":"{sort}"}}}}"#)
    };
    assert_eq!(sent(&sqs), [[body("ada", ""), body("b\\uffff", "!x")]]);
    assert!(host.seen().is_empty(), "the queue delivers them");

    let message = json!({
        "messageId": "m", "receiptHandle": "r", "body": sent(&sqs)[0][1], "messageAttributes": {},
        "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1767225600000"},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:links--writes",
    });
    assert_eq!(ask(&host, &[message]).await.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(host.seen(), ["writes: links/b\u{ffff}/!x, attempt 2"]);
}

#[tokio::test]
async fn batch_of_10_000_records_is_stored_in_requests_of_10_messages() {
    let sqs = sqs("").await;
    let host = Host::with(&sqs.url, &[], triggers("index"));
    let records: Vec<_> = (0..10_000).map(|number| written(&number.to_string(), "a")).collect();
    ask(&host, &records).await.unwrap();
    let sent = sent(&sqs);
    assert_eq!((sent.len(), sent.iter().map(Vec::len).max()), (1_000, Some(10)));
    assert_eq!(sent.concat().into_iter().collect::<std::collections::BTreeSet<_>>().len(), 10_000);
}

#[tokio::test]
async fn batch_with_a_key_that_is_not_stored_is_sent_again() {
    let gone = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}"#;
    let doubles = [
        (sqs("bad").await, ErrorKind::Unavailable),
        (Double::new(|_| Response::builder().status(200).body("{}".to_owned()).unwrap()).await, ErrorKind::Unavailable),
        (Double::new(|_| Response::builder().status(500).body(String::new()).unwrap()).await, ErrorKind::Unavailable),
        (
            Double::new(move |_| Response::builder().status(400).body(gone.to_owned()).unwrap()).await,
            ErrorKind::NotFound,
        ),
    ];
    for (sqs, kind) in doubles {
        let host = Host::with(&sqs.url, &[], triggers("index"));
        let error = ask(&host, &[written("a", "a"), written("bad", "a")]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn record_without_a_key_of_isobar_is_skipped() {
    let sqs = sqs("").await;
    let host = Host::with(&sqs.url, &[], triggers("index"));
    let foreign = [
        json!(null),
        json!({}),
        json!([]),
        json!("hunter2"),
        json!({"pk": {"S": "a"}}),
        json!({"sk": {"S": "a"}}),
        json!({"pk": {"N": "1"}, "sk": {"S": "a"}}),
        json!({"pk": {"S": "a"}, "sk": {"B": "AA=="}}),
        json!({"pk": {"S": 1}, "sk": {"S": "a"}}),
        json!({"pk": "a", "sk": "a"}),
        keys("a", ""),
        keys("a", " "),
        keys("a", "!a"),
    ];
    let mut records: Vec<_> = foreign.iter().map(|keys| record("links", "INSERT", keys)).collect();
    records.push(json!({"eventName": "INSERT", "eventSourceARN": records[0]["eventSourceARN"], "dynamodb": 7}));
    records.insert(0, written("good", "a"));
    ask(&host, &records).await.unwrap();
    assert_eq!(sent(&sqs).concat(), [r#"{"table":"links","key":{"partition":"good","sort":"a"}}"#]);
}

#[tokio::test]
async fn stream_of_another_table_is_not_found_and_one_without_an_arn_is_invalid_input() {
    let other = record("other", "INSERT", &keys("hunter2", "a"));
    for host in [Host::with("http://127.0.0.1:1", &[], triggers("index")), Host::with("http://127.0.0.1:1", &[], shop)]
    {
        let error = ask(&host, std::slice::from_ref(&other)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("DynamoDB table `other`") && !error.message().contains("hunter2"), "{error}");
    }
    let host = Host::with("http://127.0.0.1:1", &[], triggers("index"));
    for arn in [
        json!(null),
        json!(7),
        json!("links"),
        json!("arn:aws:sqs:eu-west-1:1:links"),
        json!("arn:aws:dynamodb:eu-west-1:1:table/links"),
        json!("arn:aws:dynamodb:eu-west-1:1:table/links/index/stream"),
    ] {
        let mut malformed = written("hunter2", "a");
        malformed["eventSourceARN"] = arn.clone();
        let error = ask(&host, &[malformed]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{arn}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn table_with_a_url_has_its_stream_and_its_queue() {
    let sqs = sqs("").await;
    let vars = [("ISOBAR_TABLE_LINKS", "dynamodb://links.prod?writes=links--writes")];
    let host = Host::with(&sqs.url, &vars, triggers("index"));
    ask(&host, &[record("links.prod", "INSERT", &keys("a", "a"))]).await.unwrap();
    assert_eq!(sent(&sqs).concat().len(), 1);
}
