use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

const PAGES: &str = "/.isobar/buckets/pages";

fn notification(kind: &str, object: &str, bucket: &str) -> Value {
    json!({
        "subscription": "projects/p-1/subscriptions/pages--events",
        "message": {
            "data": BASE64_STANDARD.encode(json!({"bucket": bucket, "name": object, "size": "5"}).to_string()),
            "messageId": "21", "publishTime": "2026-01-01T00:00:00Z",
            "attributes": {"bucketId": bucket, "objectId": object, "eventType": kind, "payloadFormat": "JSON_API_V1",
                "eventTime": "2026-01-01T00:00:00Z", "objectGeneration": "1",
                "notificationConfig": "projects/_/buckets/pages/notificationConfigs/1"},
        },
    })
}

fn of_eventarc(kind: &str, object: &str, bucket: &str) -> Request<Body> {
    let data = json!({"bucket": bucket, "name": object, "size": "5"});
    let request = of_google(PAGES)
        .header("ce-specversion", "1.0")
        .header("ce-id", "1")
        .header("ce-source", format!("//storage.googleapis.com/projects/_/buckets/{bucket}"))
        .header("ce-type", format!("google.cloud.storage.object.v1.{kind}"))
        .header("ce-time", "2026-01-01T00:00:00Z");
    request.body(Body::from(data.to_string())).unwrap()
}

#[tokio::test]
async fn unreadable_notifications_become_dead_letters_with_a_reason() {
    let mut bare = notification("OBJECT_FINALIZE", "a", "pages");
    bare["message"]["data"] = "".into();
    bare["message"]["attributes"]["payloadFormat"] = "NONE".into();
    let mut other = notification("OBJECT_FINALIZE", "a", "pages");
    other["message"]["attributes"].as_object_mut().unwrap().remove("objectId");
    for (body, text) in [
        (bare, "JSON_API_V1"),
        (other, "objectId"),
        (notification("OBJECT_DELETE", "a", "others"), "the bucket `others`"),
        (notification("OBJECT_DELETE", "reject", "pages"), "bad apple"),
    ] {
        let host = Host::new().await;
        assert_eq!(host.call(PAGES, body).await.0, 204, "{text}");
        let published = host.published();
        let [(topic, dead_letter)] = published.as_slice() else { panic!("{published:?}") };
        let reason = dead_letter["attributes"]["isobar-dead-reason"].as_str().unwrap();
        assert_eq!((topic.as_str(), reason.contains(text)), ("pages--events--dead", true), "{reason}");
    }
}

#[tokio::test]
async fn named_events_have_a_filter_and_dead_letters_of_their_own() {
    let thumbs = format!("{PAGES}/thumbs");
    let pushed = |kind: &str, object: &str| {
        let mut body = notification(kind, object, "pages");
        body["subscription"] = "projects/p-1/subscriptions/pages--events--thumbs".into();
        body
    };
    let host = Host::new().await;
    for (kind, object) in [("OBJECT_FINALIZE", "a"), ("OBJECT_DELETE", "img/a"), ("OBJECT_FINALIZE", "img/a")] {
        assert_eq!(host.call(&thumbs, pushed(kind, object)).await.0, 204);
    }
    assert_eq!(host.calls(), ["thumbs: img/a Created { size: 5 }, attempt 1"]);
    assert_eq!(host.call(&thumbs, pushed("OBJECT_FINALIZE", "img/reject")).await.0, 204);
    assert_eq!(host.call(&thumbs, pushed("OBJECT_FINALIZE", "img/retry")).await.0, 204);
    let [(dead, dead_letter), (topic, copy)] = &host.published()[..] else { panic!() };
    assert_eq!((dead.as_str(), topic.as_str()), ("pages--events--thumbs--dead", "pages--events"));
    for message in [dead_letter, copy] {
        assert_eq!(message["attributes"]["isobar-for"], "pages--events--thumbs");
        assert_eq!(message["attributes"]["eventType"], "OBJECT_FINALIZE", "a filter of Pub/Sub accepts it again");
    }
}

#[tokio::test]
async fn eventarc_redelivers_failures_and_drops_rejected_events() {
    let host = Host::new().await;
    for object in ["retry", "later", "panic"] {
        let (status, answer) = host.send(of_eventarc("deleted", object, "pages")).await;
        assert_eq!((status, answer.contains("unavailable")), (500, true), "{answer}");
    }
    assert_eq!(host.send(of_eventarc("deleted", "reject", "pages")).await.0, 204);
    assert_eq!(host.send(of_eventarc("deleted", "a", "others")).await.0, 204, "of another bucket");
    assert_eq!(host.calls().len(), 4);
    let mut timeless = of_eventarc("deleted", "a", "pages");
    timeless.headers_mut().remove("ce-time");
    assert_eq!(host.send(timeless).await.0, 204, "an event needs no time");
    let mut message = of_eventarc("deleted", "a", "pages");
    message.headers_mut().insert("ce-type", "google.cloud.pubsub.topic.v1.messagePublished".parse().unwrap());
    assert_eq!(host.send(message).await.0, 400);
    assert!(host.published().is_empty());
}

#[tokio::test]
async fn events_of_a_configured_bucket_use_its_name() {
    let host = Host::with(&[("ISOBAR_BUCKET_PAGES", "gs://web-prod")]).await;
    assert_eq!(host.call(PAGES, notification("OBJECT_DELETE", "reject", "web-prod")).await.0, 204);
    assert_eq!(host.calls(), ["reject Deleted, attempt 1"]);
    assert_eq!(host.published()[0].0, "web-prod--events--dead");
}
