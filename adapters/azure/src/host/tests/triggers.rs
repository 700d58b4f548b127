use std::time::Duration;

use super::*;
use isobar_testkit::Double;

pub(super) const DONE: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

pub(super) fn queued(text: &str, count: u32) -> Value {
    json!({"Data": {"message": doubled(text)}, "Metadata": {
        "DequeueCount": count.to_string(), "Id": doubled("800ae4b3"), "PopReceipt": doubled("AgAAAA=="),
        "InsertionTime": "2026-01-01T00:00:00+00:00", "sys": {"MethodName": "topic-clicks", "UtcNow": "…"},
    }})
}

fn in_queue() -> Host {
    Host::with(&[("ISOBAR_TOPIC_CLICKS", "azqueue://clicks")])
}

#[tokio::test]
async fn a_message_of_service_bus_is_bytes() {
    let host = Host::new();
    let call = |body: &str, subscription: &str| {
        json!({"Data": {"message": body}, "Metadata": {
            "MessageId": doubled("m"), "DeliveryCount": "3", "SequenceNumber": "12",
            "ApplicationProperties": {"isobar-for": subscription, "n": 7},
            "RetryContext": {"MaxRetryCount": 5, "RetryCount": 2, "Exception": {}},
        }})
    };
    assert_eq!(host.call("topic-clicks", call("/wAB", "clicks")).await.0, 200);
    assert_eq!(host.seen(), ["\u{fffd}\0\u{1}, attempt 5 of topic-clicks inv-1"]);
    assert_eq!(host.call("fifo-clicks", call("aGVsbG8=", "Clicks")).await.0, 200);
    assert_eq!(host.seen().len(), 1);
    assert_eq!(host.call("topic-clicks", call("aGVsbG8=", "others")).await, (200, DONE.to_owned()));
    assert!(host.seen().is_empty(), "a copy for another subscription is completed unseen");
}

#[tokio::test]
async fn a_trigger_with_a_name_is_found_by_its_function() {
    let host = Host::new();
    let call = |subscription: &str| {
        json!({"Data": {"message": "aGk="}, "Metadata": {
            "DeliveryCount": "1", "ApplicationProperties": {"isobar-for": subscription},
        }})
    };
    for function in ["topic-orders--index", "fifo-orders--index"] {
        assert_eq!(host.call(function, call("orders--index")).await.0, 200);
        assert_eq!(host.seen(), ["hi in the index"]);
        assert_eq!(host.call(function, call("orders")).await.0, 200);
        assert!(host.seen().is_empty(), "a copy for another subscription");
    }
    assert_eq!(host.call("topic-orders", call("orders")).await.0, 404, "the app does not handle `default`");
    for blob in ["a.jpg", "a.txt"] {
        let event = blob_event("Microsoft.Storage.BlobCreated", blob);
        assert_eq!(host.call("bucket-pages--thumbs", queued(&event.to_string(), 1)).await.0, 200);
    }
    assert_eq!(host.seen(), ["thumb of a.jpg"]);
}

#[tokio::test]
async fn a_batch_is_rejected_and_the_error_names_the_setting() {
    let host = Host::new();
    let many = json!({"Data": {"message": ["/wAB", "aGVsbG8="]}, "Metadata": {
        "MessageIdArray": ["a", "b"], "DeliveryCountArray": [1, 1], "LockTokenArray": ["x", "y"],
        "EnqueuedTimeUtcArray": ["2020-08-28T00:00:00", "2020-08-28T00:00:00"], "ApplicationPropertiesArray": [{}, {}],
    }});
    let doubled = json!({"Data": {"message": "[\"/wAB\"]"}, "Metadata": {"MessageIdArray": "[\"a\"]"}});
    let bare = json!({"Data": {"message": ["/wAB", "aGVsbG8="]}, "Metadata": {"sys": {}}});
    for batch in [many, doubled, bare] {
        for function in ["topic-clicks", "fifo-clicks"] {
            let (status, answer) = host.call(function, batch.clone()).await;
            assert_eq!((status, answer.contains("`cardinality`")), (400, true), "{answer}");
        }
    }
    assert!(host.seen().is_empty(), "no handler received a part of it");
    let list = json!({"Data": {"message": [1, 2]}, "Metadata": {"DeliveryCount": "1"}});
    assert_eq!(host.call("topic-clicks", list).await.0, 200, "one message whose body is a list");
}

#[tokio::test]
async fn a_message_is_not_completed_before_it_is_settled() {
    let host = in_queue();
    for words in ["retry", "reject", "panic"] {
        let (status, answer) = host.call("topic-clicks", queued(words, 3)).await;
        assert_eq!(status, 500, "{answer}");
        assert!(answer.contains("delivers it again"), "{answer}");
    }
    assert_eq!(host.call("topic-clicks", queued("hello", 1)).await.0, 200, "other messages succeed");
}

#[tokio::test]
async fn a_handler_that_hangs_fails_before_the_platform_kills_it() {
    let host = in_queue();
    let (clock, call) = (host.clock.clone(), host.call("topic-clicks", queued("hang", 1)));
    let (answer, ()) = tokio::join!(call, async {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(296));
    });
    assert_eq!(answer.0, 500);
}

#[tokio::test]
async fn the_deadline_of_an_ordered_message_leaves_time_to_hold_its_response_back() {
    let host = Host::new();
    let call =
        json!({"Data": {"message": doubled("hang")}, "Metadata": {"SessionId": doubled("k"), "DeliveryCount": "1"}});
    let (clock, call) = (host.clock.clone(), host.call("fifo-clicks", call));
    let (answer, ()) = tokio::join!(call, async {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(236));
    });
    assert_eq!(answer.0, 500);
}

/// Another sender may set a session on the plain topic, whose subscription has no sessions.
#[tokio::test]
async fn a_message_with_a_key_on_the_plain_topic_is_retried_by_a_copy() {
    let double = Double::new(|_| Response::builder().status(201).body(String::new()).unwrap()).await;
    let bus = SERVICE_BUS.replace("sb://127.0.0.1:1", &double.url.replacen("http", "sb", 1));
    let host = Host::with(&[("AZURE_SERVICEBUS_CONNECTION_STRING", &bus)]);
    let call =
        json!({"Data": {"message": doubled("later")}, "Metadata": {"SessionId": doubled("k"), "DeliveryCount": "1"}});
    assert_eq!(host.call("fifo-clicks", &call).await.0, 500, "the platform delivers it again");
    assert!(double.requests().is_empty());
    assert_eq!(host.call("topic-clicks", &call).await, (200, DONE.to_owned()));
    assert_eq!(double.requests(), ["POST /clicks/messages"]);
    let sent: Value = double.request(0, |request| serde_json::from_slice(request.body()).unwrap());
    assert_eq!(sent[0]["BrokerProperties"]["ScheduledEnqueueTimeUtc"], "Thu, 01 Jan 2026 00:10:00 GMT");
}

fn blob_event(kind: &str, blob: &str) -> Value {
    json!({"id": "1", "topic": "/subscriptions/…", "eventType": kind, "eventTime": "2026-01-01T00:00:00Z",
        "subject": format!("/blobServices/default/containers/pages/blobs/{blob}"),
        "data": {"api": "PutBlob", "contentLength": 5}, "dataVersion": "", "metadataVersion": "1"})
}

#[tokio::test]
async fn object_events_arrive_through_their_queue_or_directly() {
    let host = Host::new();
    let event = blob_event("Microsoft.Storage.BlobCreated", "a/b c");
    let direct = |event: &Value| json!({"Data": {"event": event}, "Metadata": {"data": {}, "sys": {}}});
    assert_eq!(host.call("bucket-pages", direct(&event)).await, (200, DONE.to_owned()));
    assert_eq!(host.call("bucket-pages", queued(&event.to_string(), 4)).await.0, 200);
    assert_eq!(host.call("bucket-pages", direct(&blob_event("Microsoft.Storage.BlobDeleted", "d"))).await.0, 200);
    assert_eq!(
        host.seen(),
        ["a/b c Created { size: 5 }, attempt 1", "a/b c Created { size: 5 }, attempt 4", "d Deleted, attempt 1"]
    );
    assert_eq!(host.call("bucket-pages", direct(&blob_event("Microsoft.Storage.BlobTierChanged", "d"))).await.0, 200);
    for event in [blob_event("Microsoft.Storage.BlobCreated", "retry/x"), json!({"eventType": 7}), json!([[]])] {
        assert_eq!(host.call("bucket-pages", direct(&event)).await.0, 500, "{event}");
        assert_eq!(host.call("bucket-pages", queued(&event.to_string(), 1)).await.0, 500, "{event}");
    }
    let mut other = blob_event("Microsoft.Storage.BlobDeleted", "d");
    other["subject"] = "/blobServices/default/containers/others/blobs/d".into();
    assert_eq!(host.call("bucket-pages", direct(&other)).await.0, 500);
    assert_eq!(host.seen(), ["retry/x Created { size: 5 }, attempt 1"; 2]);
}

#[tokio::test]
async fn a_tick_is_delivered_and_its_failure_reported() {
    let host = Host::new();
    let timer = json!({"Data": {"timer": {"Schedule": {"AdjustForDST": true}, "IsPastDue": true,
        "ScheduleStatus": {"Last": "0001-01-01T00:00:00", "Next": "2025-12-31T03:00:00+00:00"}}},
        "Metadata": {"RetryContext": doubled(r#"{"RetryCount":1}"#), "sys": {}}});
    assert_eq!(host.call("schedule-sweep", &timer).await, (200, DONE.to_owned()));
    assert_eq!(host.seen(), ["sweep 2025-12-31T03:00:00.000Z, attempt 2"]);
    let (status, answer) = host.call("schedule-fails", &timer).await;
    assert_eq!((status, answer.contains("no broom")), (500, true), "{answer}");
}

#[tokio::test]
async fn a_direct_call_returns_its_result_to_the_caller() {
    let host = Host::new();
    let call = |body: Value| {
        json!({"Data": {"req": {"Url": "https://x/.isobar/functions/echo", "Method": "POST",
        "Headers": {"Content-Type": ["application/json"]}, "Body": body}}, "Metadata": {}})
    };
    let (status, answer) = host.call("invoke-echo", call(json!("{\"id\":1}"))).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["Outputs"]["res"]["body"]), (200, &json!("{\"id\":1}")));
    assert_eq!(answer["Outputs"]["res"]["statusCode"], "200");
    let (status, answer) = host.call("invoke-fails", call(json!("1"))).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["Outputs"]["res"]["statusCode"]), (200, &json!("400")));
    assert!(answer["Outputs"]["res"]["body"].as_str().unwrap().contains("no such id"));
    let by_hand = json!({"Data": {"input": doubled("[1]")}});
    assert!(host.call("invoke-echo", by_hand).await.1.contains(r#""body":"[1]""#));
    assert_eq!(host.call("invoke-fails", json!({"Data": {"input": "1"}})).await.0, 400);
}

#[tokio::test]
async fn an_unreadable_call_is_invalid_input() {
    let host = in_queue();
    for hostile in [
        "",
        "null",
        "[]",
        "{",
        "\u{fffe}",
        r#"{"Metadata":{}}"#,
        r#"{"Data":[]}"#,
        r#"{"Data":{}}"#,
        r#"{"Data":"{}"}"#,
        r#"{"Data":{"a":1,"b":2}}"#,
        r#"{"Data":{"a":1},"Metadata":7}"#,
    ] {
        for function in ["topic-clicks", "bucket-pages", "feed-links", "writes-links", "invoke-echo", "http"] {
            let (status, answer) = host.call(function, hostile).await;
            assert_eq!(status, 400, "{function} {hostile}: {answer}");
            assert!(answer.contains("invalid-input"), "{answer}");
        }
    }
    let deep = format!(r#"{{"Data":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(host.call("topic-clicks", deep).await.0, 400);
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn a_call_of_more_than_100_mb_is_too_large() {
    let host = Host::new();
    let path = format!("/topic-clicks-{SECRET}");
    let parts = stream::iter((0..101).map(|_| Ok::<_, BoxError>(Bytes::from_static(&[b' '; 1 << 20]))));
    assert_eq!(host.send(of_host(&path).body(Body::from_stream(parts)).unwrap()).await.0, 413);
}

#[tokio::test]
async fn the_error_of_an_unknown_function_lists_the_functions() {
    let host = Host::new();
    for function in ["topic-nothing", "queue-clicks", "nonsense", "bucket-clicks"] {
        let (status, answer) = host.call(function, r#"{"Data":{"a":1}}"#).await;
        assert_eq!(status, 404, "{function}: {answer}");
        for name in ["topic-clicks", "bucket-pages", "schedule-sweep", "invoke-echo", "http"] {
            assert!(answer.contains(name), "{answer}");
        }
        assert!(!answer.contains(SECRET), "{answer}");
    }
    // For these the app itself returns the error.
    for function in ["invoke-nothing", "schedule-nothing"] {
        let (status, answer) = host.call(function, r#"{"Data":{"a":{}}}"#).await;
        assert_eq!(status, 404, "{function}: {answer}");
        assert!(answer.contains("`nothing`") && answer.contains("function `echo`"), "{answer}");
    }
}
