//! Events that SNS, S3 and EventBridge send to the function without a queue.

use ::http::Response;
use isobar_abstraction::driver::Clock;
use serde_json::{Value, json};

use super::*;
use crate::host::tests::{Host, triggers};
use isobar_testkit::Double;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:clicks";

fn of_sns(body: &str) -> Value {
    json!({"Records": [{
        "EventVersion": "1.0", "EventSubscriptionArn": "arn", "EventSource": "aws:sns",
        "Sns": {
            "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Subject": null, "Message": body,
            "Timestamp": "2026-01-01T00:00:00.000Z", "MessageAttributes": {},
        },
    }]})
}

fn of_s3(name: &str, key: &str) -> Value {
    json!({"Records": [{
        "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": name, "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {"bucket": {"name": "pages"}, "object": {"key": key, "size": 7}},
    }]})
}

fn of_event_bridge(key: &str) -> Value {
    json!({
        "source": "aws.s3", "detail-type": "Object Created", "region": "eu-west-1", "time": "2026-01-01T00:00:00Z",
        "detail": {"bucket": {"name": "pages"}, "object": {"key": key, "size": 7}},
    })
}

async fn sqs(status: u16) -> Double {
    Double::new(move |_| Response::builder().status(status).body("{}".to_owned()).unwrap()).await
}

#[tokio::test]
async fn object_events_of_s3_and_of_event_bridge_reach_their_handler() {
    let host = Host::alone();
    assert_eq!(host.ask(&of_s3("ObjectCreated:Put", "Happy%20Face+%C3%BC")).await.unwrap(), json!(null));
    assert_eq!(host.ask(&of_s3("ObjectRemoved:Delete", "gone")).await.unwrap(), json!(null));
    assert_eq!(host.ask(&of_event_bridge("a b+c")).await.unwrap(), json!(null));
    assert_eq!(host.ask(&of_s3("ObjectTagging:Put", "a")).await.unwrap(), json!(null));
    let created = "Created { size: 7 }, attempt 1";
    let expected = [format!("Happy Face ü {created}"), "gone Deleted, attempt 1".into(), format!("a b+c {created}")];
    assert_eq!(host.seen(), expected);
}

#[tokio::test]
async fn event_is_delivered_to_all_triggers_of_its_topic_or_bucket() {
    let mut through_sns = of_sns(&of_s3("ObjectCreated:Put", "a").to_string());
    through_sns["Records"][0]["Sns"]["TopicArn"] = json!("arn:aws:sns:eu-west-1:123456789012:pages--events");
    let sqs = sqs(200).await;
    let host = Host::with(&sqs.url, &[], triggers("index"));
    for event in [of_sns("a"), of_s3("ObjectCreated:Put", "a"), of_event_bridge("a"), through_sns] {
        assert_eq!(host.ask(&event).await.unwrap(), json!(null));
        assert_eq!(host.seen(), ["first: a, attempt 1", "second: a, attempt 1"], "{event}");
    }
    for (event, queue) in [
        (of_sns("second/reject"), "clicks--index"),
        (of_s3("ObjectCreated:Put", "second/reject"), "pages--events--index"),
    ] {
        host.ask(&event).await.unwrap();
        let sent: Value = sqs.request(sqs.requests().len() - 1, |it| serde_json::from_slice(it.body()).unwrap());
        assert_eq!(sent["QueueUrl"], format!("{}/123456789012/{queue}--dead", sqs.url));
    }
    for event in [of_sns("first/retry"), of_s3("ObjectCreated:Put", "first/retry")] {
        host.seen();
        assert_eq!(host.ask(&event).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(host.seen().len(), 2, "the other trigger has its event nevertheless");
    }
}

#[tokio::test]
async fn retry_is_a_failed_invocation_with_the_reason() {
    let host = Host::alone();
    for event in [of_sns("retry"), of_sns("retry/5000"), of_s3("ObjectCreated:Put", "retry"), of_event_bridge("retry")]
    {
        let error = host.ask(&event).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("not yet"), "{error}");
    }
    let error = host.ask(&of_sns("panic")).await.unwrap_err();
    assert!(error.message().contains("panicked"), "{error}");
}

#[tokio::test]
async fn rejected_event_is_stored_in_the_dead_letter_queue() {
    for (event, queue, body) in [
        (of_sns("reject"), "clicks--dead", "reject".to_owned()),
        (of_s3("ObjectCreated:Put", "reject"), "pages--events--dead", of_s3("ObjectCreated:Put", "reject").to_string()),
        (of_event_bridge("reject"), "pages--events--dead", of_event_bridge("reject").to_string()),
    ] {
        let sqs = sqs(200).await;
        assert_eq!(Host::on(&sqs.url).ask(&event).await.unwrap(), json!(null));
        let sent: Value = sqs.request(0, |request| serde_json::from_slice(request.body()).unwrap());
        assert_eq!(sent["QueueUrl"], format!("{}/123456789012/{queue}", sqs.url));
        assert_eq!(sent["MessageBody"], body);
        assert!(sent["MessageAttributes"].to_string().contains("bad apple"), "{sent}");
    }
}

#[tokio::test]
async fn dead_letter_that_is_not_stored_is_a_failed_invocation() {
    let failing = sqs(500).await;
    for host in [Host::on(&failing.url), Host::alone()] {
        for event in [of_sns("reject"), of_s3("ObjectCreated:Put", "reject")] {
            let error = host.ask(&event).await.unwrap_err();
            assert!(error.message().contains("gave up (bad apple), and the dead letter cannot be stored"), "{error}");
        }
    }
}

#[tokio::test]
async fn malformed_message_is_a_dead_letter_with_its_original_body() {
    let sqs = sqs(200).await;
    let host = Host::on(&sqs.url);
    let mut event = of_sns("hunter2");
    event["Records"][0]["Sns"]["MessageAttributes"] = json!({"isobar.meta": {"Type": "String", "Value": "{"}});
    assert_eq!(host.ask(&event).await.unwrap(), json!(null));
    let sent: Value = sqs.request(0, |request| serde_json::from_slice(request.body()).unwrap());
    assert_eq!(sent["MessageBody"], "hunter2");
    let meta = sent["MessageAttributes"]["isobar.meta"]["StringValue"].as_str().unwrap();
    assert!(meta.contains("cannot be read") && !meta.contains("hunter2"), "{meta}");
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn message_that_is_not_due_is_a_failed_invocation_without_the_app() {
    let host = Host::alone();
    let mut event = of_sns("ok");
    let due = isobar_abstraction::clock::to_millis(host.clock.now()) + 1;
    let meta = json!({"id": "m", "due": due}).to_string();
    event["Records"][0]["Sns"]["MessageAttributes"] = json!({"isobar.meta": {"Type": "String", "Value": meta}});
    let error = host.ask(&event).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("`clicks`"), "{error}");
    assert!(host.seen().is_empty());
    host.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(host.ask(&event).await.unwrap(), json!(null));
}

#[tokio::test]
async fn unknown_topic_or_bucket_is_not_found_with_those_of_the_app() {
    let host = Host::alone();
    let mut topic = of_sns("ok");
    topic["Records"][0]["Sns"]["TopicArn"] = json!("arn:aws:sns:eu-west-1:123456789012:other");
    let mut bucket = of_s3("ObjectCreated:Put", "ok");
    bucket["Records"][0]["s3"]["bucket"]["name"] = json!("other");
    for event in [topic, bucket] {
        let error = host.ask(&event).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("`other`") && error.message().contains("SNS topic `clicks`"), "{error}");
    }
}
