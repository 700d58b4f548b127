use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::parse;
use serde_json::json;

use super::*;

/// A message that Google's emulator moved to a dead-letter topic after five attempts, as a pull returns it.
#[test]
fn a_message_moved_by_pub_sub_has_its_attempts() {
    let received = json!({"ackId": "projects/p/subscriptions/deadsub:61", "message": {
        "data": "cHVzaA==", "messageId": "1023", "publishTime": "2026-11-26T13:22:37.289Z", "orderingKey": "k",
        "attributes": {
            "a": "käse", "CloudPubSubDeadLetterSourceDeliveryCount": "5",
            "CloudPubSubDeadLetterSourceSubscription": "worker",
            "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-26T13:22:24.379Z",
            "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        },
    }});
    let details = dead_letter(&received).unwrap();
    assert_eq!((details.id.as_str(), details.attempts, &details.body[..]), ("1023", 5, &b"push"[..]));
    assert_eq!(details.reason, "Pub/Sub moved the message to the dead letters: the service never acknowledged it");
    assert_eq!(details.attributes, [("a".to_owned(), "käse".to_owned())].into());
    assert_eq!(Some(details.died_at), parse("2026-11-26T13:22:37.289Z"));
}

#[test]
fn invalid_attributes_of_a_dead_letter_are_ignored() {
    let invalid = json!({"messageId": "1", "publishTime": "2026-01-01T00:00:00Z", "attributes": {
        "isobar-dead-at": "yesterday", "isobar-dead-attempts": "-1", "isobar-dead-reason-2": "half",
    }});
    let details = dead_letter(&invalid).unwrap();
    assert_eq!((details.attempts, details.reason.as_str()), (1, "half"));
    assert_eq!(Some(details.died_at), parse("2026-01-01T00:00:00Z"));
    for wrong in [json!(null), json!({}), json!({"message": {}}), json!({"message": 1, "messageId": "1", "data": 1})] {
        assert_eq!(dead_letter(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
    }
}
