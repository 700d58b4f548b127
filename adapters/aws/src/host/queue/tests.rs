//! Batches of SQS, on an SQS whose responses a test sets.

mod buckets;
mod dead_letters;
mod delay;
mod fifo;
mod settlement;

use ::http::{Request, Response};
use serde_json::{Value, json};

use crate::host::tests::{Host, shop};
use isobar_testkit::Double;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:clicks";

/// A record of a queue, whose body selects what the app does.
fn record(queue: &str, id: &str, body: &str) -> Value {
    json!({
        "messageId": id, "receiptHandle": format!("receipt-{id}"), "body": body, "messageAttributes": {},
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000"},
        "eventSource": "aws:sqs", "eventSourceARN": queue, "awsRegion": "eu-west-1",
    })
}

fn with_attribute(mut record: Value, name: &str, value: &str) -> Value {
    record["attributes"][name] = json!(value);
    record
}

/// An SQS that accepts every request.
async fn working_sqs() -> Double {
    Double::new(|_| answer(200, r#"{"MessageId":"m","Successful":[],"Failed":[]}"#)).await
}

/// An SQS without a dead-letter queue.
async fn without_dead_letters() -> Double {
    let gone = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#;
    Double::new(move |request| if operation(request) == "SendMessage" { answer(400, gone) } else { answer(200, "{}") })
        .await
}

fn answer(status: u16, body: &str) -> Response<String> {
    Response::builder().status(status).body(body.to_owned()).unwrap()
}

fn operation<B>(request: &Request<B>) -> String {
    request.headers()["x-amz-target"].to_str().unwrap().trim_start_matches("AmazonSQS.").to_owned()
}

/// The requests to SQS.
fn requests(sqs: &Double) -> Vec<(String, Value)> {
    let request = |at| sqs.request(at, |it| (operation(it), serde_json::from_slice(it.body()).unwrap()));
    (0..sqs.requests().len()).map(request).collect()
}

/// The changes of visibility: receipts and seconds.
fn visibility_changes(sqs: &Double) -> Vec<(String, u64)> {
    let batches = requests(sqs).into_iter().filter(|(operation, _)| operation == "ChangeMessageVisibilityBatch");
    let entries = batches.flat_map(|(_, batch)| batch["Entries"].as_array().unwrap().clone());
    let entry =
        |it: Value| (it["ReceiptHandle"].as_str().unwrap().to_owned(), it["VisibilityTimeout"].as_u64().unwrap());
    entries.map(entry).collect()
}

/// The requests to send a message.
fn sent(sqs: &Double) -> Vec<Value> {
    requests(sqs).into_iter().filter(|(operation, _)| operation == "SendMessage").map(|(_, it)| it).collect()
}

/// The ids that are not acknowledged, sorted.
async fn failed(host: &Host, records: &[Value]) -> Vec<String> {
    failures(&host.ask(&json!({"Records": records})).await.unwrap())
}

fn failures(answer: &Value) -> Vec<String> {
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    let failures = answer["batchItemFailures"].as_array().unwrap();
    let mut ids: Vec<_> = failures.iter().map(|it| it["itemIdentifier"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}
