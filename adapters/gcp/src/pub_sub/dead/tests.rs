use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::parse;
use serde_json::json;

use super::*;

/// What the emulator of Google moved to a dead-letter topic after five attempts, as a pull answers it.
#[test]
fn one_that_pub_sub_moved_tells_its_attempts() {
    let received = json!({"ackId": "projects/p/subscriptions/deadsub:61", "message": {
        "data": "cHVzaA==", "messageId": "1023", "publishTime": "2026-11-26T13:22:37.289Z", "orderingKey": "k",
        "attributes": {
            "a": "käse", "CloudPubSubDeadLetterSourceDeliveryCount": "5",
            "CloudPubSubDeadLetterSourceSubscription": "worker",
            "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-26T13:22:24.379Z",
            "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        },
    }});
    let letter = dead_letter(&received).unwrap();
    assert_eq!((letter.id.as_str(), letter.attempts, &letter.body[..]), ("1023", 5, &b"push"[..]));
    assert_eq!(letter.reason, "Pub/Sub gave up: the service never answered for it");
    assert_eq!(letter.attributes, [("a".to_owned(), "käse".to_owned())].into());
    assert_eq!(Some(letter.died_at), parse("2026-11-26T13:22:37.289Z"));
}

#[test]
fn marks_that_are_not_ours_harm_nothing() {
    let strange = json!({"messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "attributes": {
        "isobar-dead-at": "yesterday", "isobar-dead-attempts": "-1", "isobar-dead-reason-2": "half",
    }});
    let letter = dead_letter(&strange).unwrap();
    assert_eq!((letter.attempts, letter.reason.as_str()), (1, "half"));
    assert_eq!(Some(letter.died_at), parse("2026-01-01T00:00:00Z"));
    for wrong in [json!(null), json!({}), json!({"message": {}}), json!({"message": 1, "messageId": "1", "data": 1})] {
        assert_eq!(dead_letter(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
    }
}
