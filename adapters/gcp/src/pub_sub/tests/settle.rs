//! Copies that are tried again, and dead letters.

use isobar_abstraction::clock::parse;

use super::*;
use crate::profile::PROFILE;
use crate::pub_sub::settle::{again, bury};
use crate::pub_sub::wire::PubsubMessage;

/// A message as Pub/Sub would push it.
fn pushed() -> Value {
    json!({
        "data": STANDARD.encode("hello"), "messageId": "17", "publishTime": "2026-01-01T00:00:00.123456Z",
        "attributes": {"lang": "en", "traceparent": TRACE, "googclient_schemaencoding": "JSON"}, "orderingKey": "room 7",
    })
}

/// The only message that was published, as Pub/Sub would hand it over.
fn only(double: &Double) -> Value {
    assert_eq!(double.requests().len(), 1);
    let mut message = double.request(0, messages).remove(0);
    message["messageId"] = "99".into();
    message["publishTime"] = "2026-02-02T00:00:00Z".into();
    message
}

#[tokio::test]
async fn a_copy_is_its_message_with_its_attempts_and_when_it_is_due() {
    let double = Double::new(taken).await;
    let message = PubsubMessage::read(&pushed()).unwrap().open(1).message;
    again(&state(&double.url), &at(), &message, "worker", Duration::from_secs(60), 3).await.unwrap();
    assert_eq!(double.requests(), ["POST /v1/projects/proj-1/topics/clicks:publish"]);
    let copy = PubsubMessage::read(&only(&double)).unwrap().open(1);
    assert_eq!((copy.attempts, copy.message.attempt), (3, 4));
    assert_eq!(copy.due, parse("2026-01-01T00:01:00.250Z"));
    assert_eq!((copy.meant_for.as_deref(), copy.details), (Some("worker"), None));
    let mut same = copy.message;
    same.attempt = 1;
    same.attributes.insert("googclient_schemaencoding".to_owned(), "JSON".to_owned());
    assert_eq!(same, message, "but for the names that nobody may publish");
}

#[tokio::test]
async fn a_copy_is_due_when_its_whole_wait_has_passed() {
    let double = Double::new(taken).await;
    let message = PubsubMessage::read(&pushed()).unwrap().open(1).message;
    again(&state(&double.url), &at(), &message, "worker", PROFILE.limits.retry_after, 1).await.unwrap();
    assert_eq!(PubsubMessage::read(&only(&double)).unwrap().open(1).due, parse("2026-01-01T06:00:00.250Z"));
}

#[tokio::test]
async fn a_dead_letter_tells_why_and_put_back_it_is_its_message_again() {
    let double = Double::new(taken).await;
    let message = PubsubMessage::read(&pushed()).unwrap().open(5).message;
    bury(&state(&double.url), &at(), &message, "no \u{0}reason", 5).await.unwrap();
    assert_eq!(double.requests(), ["POST /v1/projects/proj-1/topics/clicks--dead:publish"]);
    let letter = dead::dead_letter(&json!({"message": only(&double), "deliveryAttempt": 2})).unwrap();
    assert_eq!((letter.id.as_str(), letter.attempts, letter.reason.as_str()), ("17", 5, "no \u{0}reason"));
    assert_eq!((&letter.body[..], letter.attributes), (&b"hello"[..], [("lang".to_owned(), "en".to_owned())].into()));
    assert_eq!(Some(letter.died_at), parse(NOW));
    let back = PubsubMessage::read(&only(&double)).unwrap().open(1);
    assert_eq!((back.message.attempt, back.due, back.meant_for), (1, None, None));
    assert_eq!((back.message.id, back.message.ordering_key), (message.id, Some("room 7".to_owned())));
    assert_eq!(back.message.published_at, message.published_at);
}

#[tokio::test]
async fn the_events_of_a_bucket_have_a_topic_of_dead_letters_too() {
    let double = Double::new(taken).await;
    let bucket = Location::new(ResourceKind::Bucket, "pages");
    let message =
        isobar_abstraction::driver::pub_sub::Message::new(MessageId::new("e-1"), "{}", SystemTime::UNIX_EPOCH);
    bury(&state(&double.url), &bucket, &message, "no", 1).await.unwrap();
    assert_eq!(double.requests(), ["POST /v1/projects/proj-1/topics/pages--events--dead:publish"]);
    assert_eq!(dead::dead_letter(&only(&double)).unwrap().id, "e-1");
    let table = Location::new(ResourceKind::Table, "links");
    let error = bury(&state(&double.url), &table, &message, "no", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_message_without_room_for_a_reason_is_kept_as_it_came() {
    let double = Double::new(|request| match messages(request)[0]["attributes"].as_object().unwrap().len() > 1 {
        true => refused(400, "INVALID_ARGUMENT", "too many attributes"),
        false => taken(request),
    })
    .await;
    let told = json!({"data": "YQ==", "messageId": "17", "attributes": {"lang": "en"}});
    let message = PubsubMessage::read(&told).unwrap().open(1).message;
    bury(&state(&double.url), &at(), &message, "no", 1).await.unwrap();
    assert_eq!(double.requests().len(), 2);
    let kept = double.request(1, messages).remove(0);
    assert_eq!(kept, json!({"data": "YQ==", "attributes": {"lang": "en"}}));
    let letter = dead::dead_letter(&json!({"data": "YQ==", "attributes": {"lang": "en"}, "messageId": "18"})).unwrap();
    assert!(letter.reason.contains("not told"), "{}", letter.reason);
}

#[tokio::test]
async fn a_dead_letter_that_is_not_kept_is_an_error() {
    let message = PubsubMessage::read(&pushed()).unwrap().open(1).message;
    for (code, name, kind) in [
        (404, "NOT_FOUND", ErrorKind::NotFound),
        (403, "PERMISSION_DENIED", ErrorKind::PermissionDenied),
        (503, "UNAVAILABLE", ErrorKind::Unavailable),
        (400, "INVALID_ARGUMENT", ErrorKind::InvalidInput),
    ] {
        let double = Double::new(move |_| refused(code, name, "no")).await;
        let error = bury(&state(&double.url), &at(), &message, "no", 1).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.message().contains("clicks--dead"), "{}", error.message());
    }
}
