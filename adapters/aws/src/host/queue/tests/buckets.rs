//! Notifications of S3 in a queue.

use super::*;
use crate::host::tests::triggers;

const EVENTS: &str = "arn:aws:sqs:eu-west-1:123456789012:pages--events";

fn notification(bucket: &str, name: &str, key: &str) -> Value {
    json!({"Records": [{
        "eventSource": "aws:s3", "eventName": name, "eventTime": "2026-01-01T00:00:00.000Z", "awsRegion": "eu-west-1",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 7}},
    }]})
}

async fn failed_notifications(host: &Host, notifications: &[Value]) -> Vec<String> {
    let records = notifications.iter().zip('a'..).map(|(it, id)| record(EVENTS, &id.to_string(), &it.to_string()));
    failed(host, &records.collect::<Vec<_>>()).await
}

#[tokio::test]
async fn test_event_of_s3_is_acknowledged_without_the_app() {
    let host = Host::alone();
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "pages", "HostId": "x"});
    assert_eq!(failed_notifications(&host, &[test, notification("pages", "ObjectTagging:Put", "a")]).await, [""; 0]);
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn malformed_notification_or_one_of_another_bucket_is_a_dead_letter() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let wrong =
        [json!("hunter2"), json!({}), notification("other", "ObjectCreated:Put", "a"), json!({"Records": [{}]})];
    assert_eq!(failed_notifications(&host, &wrong).await, [""; 0]);
    let reasons: Vec<String> = sent(&sqs)
        .iter()
        .map(|it| it["MessageAttributes"]["isobar.meta"]["StringValue"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons.iter().all(|reason| !reason.contains("hunter2")), "{reasons:?}");
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn notification_that_sns_wrapped_reaches_the_trigger_of_its_queue() {
    let host = Host::with("http://127.0.0.1:1", &[], triggers("index"));
    let envelope = json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:pages--events",
        "Subject": "Amazon S3 Notification", "Message": notification("pages", "ObjectCreated:Put", "a").to_string(),
        "Timestamp": "2026-01-01T00:00:00.250Z",
    });
    for (queue, expected) in [(EVENTS.to_owned(), "first"), (format!("{EVENTS}--index"), "second")] {
        assert_eq!(failed(&host, &[record(&queue, "a", &envelope.to_string())]).await, [""; 0]);
        assert_eq!(host.seen(), [format!("{expected}: a, attempt 1")]);
    }
}
