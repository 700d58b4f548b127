//! Copies that are tried again, and dead letters.

use isobar_abstraction::EventQueue;
use isobar_abstraction::clock::parse;

use super::*;
use crate::config::QueuePlacement;
use crate::profile::PROFILE;
use crate::pub_sub::settle::{publish_copy, publish_dead_letter};
use crate::pub_sub::wire::PubsubMessage;

/// A message as in a push of Pub/Sub, with an ordering key or an empty one.
fn pushed(key: &str) -> Value {
    json!({
        "data": STANDARD.encode("hello"), "messageId": "17", "publishTime": "2026-01-01T00:00:00.123456Z",
        "attributes": {"lang": "en", "traceparent": TRACE, "googclient_schemaencoding": "JSON"}, "orderingKey": key,
    })
}

/// The queue of the subscription `default` of the topic.
fn queue(url: &str) -> QueuePlacement {
    state(url).config.queue(&EventQueue::topic("clicks")).unwrap()
}

/// The only published message, as in a push of Pub/Sub.
fn only(double: &Double) -> Value {
    assert_eq!(double.requests().len(), 1);
    let mut message = double.request(0, messages).remove(0);
    message["messageId"] = "99".into();
    message["publishTime"] = "2026-02-02T00:00:00Z".into();
    message
}

#[tokio::test]
async fn a_copy_has_its_message_its_attempts_and_its_due_time() {
    let double = Double::new(accepted).await;
    let message = PubsubMessage::read(&pushed("")).unwrap().open(1).message;
    publish_copy(&state(&double.url), &queue(&double.url), &message, "worker", Duration::from_secs(60), 3)
        .await
        .unwrap();
    assert_eq!(double.requests(), ["POST /v1/projects/proj-1/topics/clicks:publish"]);
    let copy = PubsubMessage::read(&only(&double)).unwrap().open(1);
    assert_eq!((copy.attempts, copy.message.attempt), (3, 4));
    assert_eq!(copy.due, parse("2026-01-01T00:01:00.250Z"));
    assert_eq!((copy.meant_for.as_deref(), copy.details), (Some("worker"), None));
    let mut same = copy.message;
    same.attempt = 1;
    same.attributes.insert("googclient_schemaencoding".to_owned(), "JSON".to_owned());
    assert_eq!(same, message, "except for reserved names");
}

#[tokio::test]
async fn a_copy_is_due_after_the_requested_wait() {
    let double = Double::new(accepted).await;
    let message = PubsubMessage::read(&pushed("")).unwrap().open(1).message;
    publish_copy(&state(&double.url), &queue(&double.url), &message, "worker", PROFILE.limits.retry_after, 1)
        .await
        .unwrap();
    assert_eq!(PubsubMessage::read(&only(&double)).unwrap().open(1).due, parse("2026-01-01T06:00:00.250Z"));
}

#[tokio::test]
async fn a_dead_letter_has_its_reason_and_is_the_original_message_after_a_redrive() {
    let double = Double::new(accepted).await;
    let message = PubsubMessage::read(&pushed("chat 7")).unwrap().open(5).message;
    publish_dead_letter(&state(&double.url), &queue(&double.url), &message, "worker", "no \u{0}reason", 5)
        .await
        .unwrap();
    assert_eq!(double.requests(), ["POST /v1/projects/proj-1/topics/clicks--dead:publish"]);
    let dead_letter = dead_letters::dead_letter(&json!({"message": only(&double), "deliveryAttempt": 2})).unwrap();
    assert_eq!(
        (dead_letter.id.as_str(), dead_letter.attempts, dead_letter.reason.as_str()),
        ("17", 5, "no \u{0}reason")
    );
    assert_eq!(
        (&dead_letter.body[..], dead_letter.attributes),
        (&b"hello"[..], [("lang".to_owned(), "en".to_owned())].into())
    );
    assert_eq!(Some(dead_letter.died_at), parse(NOW));
    let redriven = PubsubMessage::read(&only(&double)).unwrap().open(1);
    assert_eq!((redriven.message.attempt, redriven.due, redriven.meant_for.as_deref()), (1, None, Some("worker")));
    assert_eq!((redriven.message.id, redriven.message.ordering_key), (message.id, Some("chat 7".to_owned())));
    assert_eq!(redriven.message.published_at, message.published_at);
}

#[tokio::test]
async fn a_message_without_room_for_a_reason_has_its_subscription_if_that_has_room() {
    let pushed = json!({"data": "YQ==", "messageId": "17", "attributes": {"lang": "en"}});
    let message = PubsubMessage::read(&pushed).unwrap().open(1).message;
    for (room, tried, attributes) in
        [(2, 2, json!({"lang": "en", "isobar-for": "worker"})), (1, 3, json!({"lang": "en"}))]
    {
        let double =
            Double::new(move |request| match messages(request)[0]["attributes"].as_object().unwrap().len() > room {
                true => rejected(400, "INVALID_ARGUMENT", "too many attributes"),
                false => accepted(request),
            })
            .await;
        publish_dead_letter(&state(&double.url), &queue(&double.url), &message, "worker", "no", 1).await.unwrap();
        assert_eq!(double.requests().len(), tried);
        let mut stored = double.request(tried - 1, messages).remove(0);
        assert_eq!(stored, json!({"data": "YQ==", "attributes": attributes}));
        stored["messageId"] = "18".into();
        let dead_letter = dead_letters::dead_letter(&stored).unwrap();
        assert!(dead_letter.reason.contains("no reason was recorded"), "{}", dead_letter.reason);
    }
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_published_is_an_error() {
    let message = PubsubMessage::read(&pushed("chat 7")).unwrap().open(1).message;
    for (code, name, kind) in [
        (404, "NOT_FOUND", ErrorKind::NotFound),
        (403, "PERMISSION_DENIED", ErrorKind::PermissionDenied),
        (503, "UNAVAILABLE", ErrorKind::Unavailable),
        (400, "INVALID_ARGUMENT", ErrorKind::InvalidInput),
    ] {
        let double = Double::new(move |_| rejected(code, name, "no")).await;
        let error = publish_dead_letter(&state(&double.url), &queue(&double.url), &message, "worker", "no", 1)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.message().contains("clicks--dead"), "{}", error.message());
    }
}
