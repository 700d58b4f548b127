//! Malformed events: no panic, no wrong acknowledgement, no secret in an error.

use super::*;

#[tokio::test]
async fn event_that_is_not_json_is_a_failed_invocation() {
    let host = Host::alone();
    for event in [&b"{"[..], b"hunter2", b"\xff", b"{\"hunter2\":\"\xff\"}", b"{} {}"] {
        let error = host.reply(event).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn records_without_id_or_queue_fail_the_invocation_without_the_app() {
    let host = Host::alone();
    let queue = "arn:aws:sqs:eu-west-1:123456789012:clicks";
    let good = json!({"eventSource": "aws:sqs", "eventSourceARN": queue, "messageId": "a", "body": "ok"});
    for bad in [
        json!(null),
        json!(7),
        json!("hunter2"),
        json!({}),
        json!({"eventSourceARN": 7, "messageId": "b", "body": "hunter2"}),
        json!({"eventSourceARN": "clicks", "messageId": "b", "body": "hunter2"}),
        json!({"eventSourceARN": queue, "messageId": null, "body": "hunter2"}),
        json!({"eventSourceARN": queue, "messageId": 7, "body": "hunter2"}),
        json!({"eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:other", "messageId": "b", "body": "hunter2"}),
        json!({"eventSourceARN": "arn:aws:sqs:e.x/y:123456789012:clicks", "messageId": "b", "body": "hunter2"}),
    ] {
        let error = host.ask(&json!({"Records": [good.clone(), bad]})).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(host.seen().is_empty(), "no record is handled if one cannot be acknowledged");
    }
}

#[tokio::test]
async fn malformed_notifications_of_topics_and_buckets_are_not_acknowledged() {
    let host = Host::alone();
    for event in [
        json!({"Records": [{"EventSource": "aws:sns", "Sns": null}]}),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"TopicArn": "clicks", "Message": "hunter2"}}]}),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"TopicArn": "arn:aws:sns:eu-west-1:1:other"}}]}),
        json!({"Records": [{"eventSource": "aws:s3"}]}),
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": "hunter2"}]}),
        json!({"Records": [{"eventSource": "aws:s3", "eventName": 7}]}),
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": "hunter2"}}),
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": "hunter2"}),
    ] {
        let error = host.ask(&event).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!([ErrorKind::InvalidInput, ErrorKind::NotFound].contains(&error.kind()), "{event}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn deep_json_is_an_error_in_every_kind_of_event() {
    let host = Host::alone();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for event in [
        deep.clone(),
        format!(r#"{{"a":{deep}}}"#),
        format!(r#"{{"isobar":"invoke","function":"echo","payload":{deep}}}"#),
        format!(r#"{{"Records":[{{"eventSource":"aws:sqs","a":{deep}}}]}}"#),
        format!(r#"{{"Records":[{{"eventSource":"aws:s3","a":{deep}}}]}}"#),
        format!(r#"{{"source":"aws.s3","detail-type":"Object Created","detail":{deep}}}"#),
    ] {
        assert!(host.reply(event.as_bytes()).await.is_err());
    }
}

#[tokio::test]
async fn error_of_an_event_with_a_long_name_is_short() {
    let host = Host::alone();
    let long = "n\n".repeat(50_000);
    for event in [
        json!({"Records": [{"eventSource": "aws:sqs", "eventSourceARN": long, "messageId": "a"}]}),
        json!({"Records": [{"eventSource": "aws:sqs", "messageId": "a", "eventSourceARN": format!("arn:aws:sqs:r:1:{long}")}]}),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"TopicArn": long}}]}),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"TopicArn": format!("arn:aws:sns:r:1:{long}")}}]}),
        json!({"source": format!("aws.{long}"), "detail-type": long}),
        json!({long: 1}),
    ] {
        let text = host.ask(&event).await.unwrap_err().to_string();
        assert!(text.len() < 2_000 && !text.contains('\n'), "{} bytes", text.len());
    }
}
