use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

pub(super) const CLICKS: &str = "/.isobar/topics/clicks";
pub(super) const INDEX: &str = "/.isobar/topics/clicks/index";

/// A push of Pub/Sub, with changed fields of its message.
#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
pub(super) fn push(body: &str, changes: Value) -> Value {
    let mut push = json!({
        "subscription": "projects/p-1/subscriptions/clicks",
        "message": {"data": BASE64_STANDARD.encode(body), "messageId": "17", "publishTime": "2026-01-01T00:00:00Z"},
    });
    for (name, value) in changes.as_object().unwrap() {
        let target =
            if ["subscription", "deliveryAttempt"].contains(&name.as_str()) { &mut push } else { &mut push["message"] };
        target[name] = value.clone();
    }
    push
}

#[tokio::test]
async fn an_unreadable_event_is_rejected_and_not_handled() {
    let host = Host::new().await;
    let object = json!({"specversion": "1.0", "id": "e", "source": "/s", "data": {},
        "type": "google.cloud.storage.object.v1.deleted"});
    for body in ["", "{", "null", "{}", r#"{"message":{}}"#, r#"{"message":{"messageId":"1","data":"?"}}"#] {
        let (status, answer) = host.call(CLICKS, body).await;
        assert_eq!((status, answer.contains("invalid-input")), (400, true), "{body}: {answer}");
    }
    for (kind, status) in [("application/cloudevents+json", 400), ("application/cloudevents-batch+json", 415)] {
        let mut request = of_google(CLICKS).body(Body::from(object.to_string())).unwrap();
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        let (answered, answer) = host.send(request).await;
        assert_eq!(answered, status, "{answer}");
    }
    assert!(host.calls().is_empty() && host.published().is_empty());
}

#[tokio::test]
async fn copies_carry_the_attempts_of_their_message() {
    let host = Host::new().await;
    let copy = |attempts: &str, due: &str, meant_for: &str| {
        let attributes =
            json!({"isobar-attempts": attempts, "isobar-due": due, "isobar-for": meant_for, "isobar-id": "7"});
        push("hello", json!({"attributes": attributes, "deliveryAttempt": 30}))
    };
    // Pub/Sub's own count contains only deliveries before the due time.
    assert_eq!(host.call(CLICKS, copy("1", "2026-01-01T00:00:00Z", "clicks")).await.0, 204);
    assert_eq!(host.call(CLICKS, copy("2", "2020-01-01T00:00:00Z", "clicks")).await.0, 204);
    assert_eq!(host.calls(), ["hello 7, attempt 2", "hello 7, attempt 3"]);
    // Numbers that isobar never writes.
    for (odd, attempt) in [("4294967295", "4294967295"), ("-1", "1"), ("99999999999999999999", "1"), ("x", "1")] {
        assert_eq!(host.call(CLICKS, copy(odd, "2026-01-01T00:00:00Z", "clicks")).await.0, 204, "{odd}");
        assert_eq!(host.calls(), [format!("hello 7, attempt {attempt}")]);
    }
    // Not a copy: its attempts are added to those of Pub/Sub.
    let attributes = json!({"attributes": {"isobar-attempts": "4294967295"}, "deliveryAttempt": 9});
    assert_eq!(host.call(CLICKS, push("hello", attributes)).await.0, 204);
    assert_eq!(host.calls(), ["hello 17, attempt 4294967295"]);
    assert!(host.published().is_empty());
}

#[tokio::test]
async fn a_copy_for_another_subscription_is_acknowledged_unhandled() {
    let host = Host::new().await;
    let copy = |here: Value| push("hello", json!({"attributes": {"isobar-for": "other"}, "subscription": here}));
    assert_eq!(host.call(CLICKS, copy(json!("projects/p-1/subscriptions/clicks"))).await.0, 204);
    assert!(host.calls().is_empty());
    assert_eq!(host.call(CLICKS, copy(json!(null))).await.0, 204, "its own subscription is `clicks`");
    assert!(host.calls().is_empty());
    for here in [json!("projects/p-1/subscriptions/other"), json!("projects/p-2/subscriptions/other")] {
        assert_eq!(host.call(CLICKS, copy(here)).await.0, 204);
        assert_eq!(host.calls().len(), 1);
    }
}

/// After the 100 deliveries of its dead-letter policy Pub/Sub itself moves a message, with its own attributes.
#[tokio::test]
async fn a_redriven_dead_letter_of_pub_sub_is_for_its_subscription_only() {
    let host = Host::new().await;
    let attributes = json!({"CloudPubSubDeadLetterSourceSubscription": "clicks--index",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p-1", "CloudPubSubDeadLetterSourceDeliveryCount": "100"});
    let redriven = |here: &str| {
        push("hello", json!({"attributes": attributes, "subscription": format!("projects/p-1/subscriptions/{here}")}))
    };
    assert_eq!(host.call(CLICKS, redriven("clicks")).await.0, 204);
    assert_eq!(host.call(INDEX, redriven("clicks--index")).await.0, 204);
    assert_eq!(host.calls(), ["index: hello 17, attempt 1"]);
}

#[tokio::test]
async fn a_copy_that_is_not_due_waits() {
    let host = Host::new().await;
    let copy = |due: &str, delivered: u32| {
        let attributes = json!({"isobar-attempts": "1", "isobar-due": due, "isobar-for": "clicks", "isobar-id": "7"});
        push("hello", json!({"attributes": attributes, "deliveryAttempt": delivered}))
    };
    assert_eq!(host.call(CLICKS, copy("2026-01-01T00:00:20Z", 1)).await.0, 204, "a call stays open this long");
    assert_eq!(host.calls(), ["hello 7, attempt 2"]);
    for delivered in [1, 49] {
        let (status, answer) = host.call(CLICKS, copy("2026-01-01T00:00:21Z", delivered)).await;
        assert_eq!((status, answer.contains("not due before 2026-01-01T00:00:21.000Z")), (500, true), "{answer}");
    }
    assert!(host.calls().is_empty() && host.published().is_empty());
    // Before Pub/Sub's dead-letter policy applies, a new copy with the same due time replaces it.
    assert_eq!(host.call(CLICKS, copy("2026-01-01T01:00:00Z", 50)).await.0, 204);
    assert!(host.calls().is_empty());
    let published = host.published();
    let [(topic, message)] = published.as_slice() else { panic!("{published:?}") };
    let attributes = &message["attributes"];
    assert_eq!((topic.as_str(), &attributes["isobar-due"]), ("clicks", &json!("2026-01-01T01:00:00Z")));
    assert_eq!((&attributes["isobar-attempts"], &attributes["isobar-id"]), (&json!("1"), &json!("7")));
    host.clock.advance(Duration::from_secs(3_600));
    assert_eq!(host.call(CLICKS, copy("2026-01-01T01:00:00Z", 99)).await.0, 204);
    assert_eq!(host.calls(), ["hello 7, attempt 2"]);
}

/// Pub/Sub doubles the backoff up to that of the subscription, which the deployment limits.
#[test]
fn the_longest_delay_ends_before_a_copy_replaces_its_message() {
    let delay = crate::profile::PROFILE.limits.message_delay - message::MAX_HOLD;
    let (mut delivered, mut at, mut backoff) = (1, Duration::ZERO, Duration::from_secs(1));
    while at < delay {
        (delivered, at, backoff) = (delivered + 1, at + backoff, (backoff * 2).min(MAX_BACKOFF));
    }
    assert!(delivered < message::MAX_EARLY_DELIVERIES, "{delivered}");
}

/// Each subscription waits by itself, and its early deliveries are not attempts.
#[tokio::test]
async fn a_message_with_a_delay_is_at_its_first_attempt_when_it_is_due() {
    let host = Host::new().await;
    let sent = |body: &str, here: &str, delivered: u32| {
        let subscription = format!("projects/p-1/subscriptions/{here}");
        let attributes = json!({"isobar-due": "2026-01-01T00:15:00Z"});
        push(body, json!({"attributes": attributes, "subscription": subscription, "deliveryAttempt": delivered}))
    };
    assert_eq!(host.call(CLICKS, sent("retry", "clicks", 7)).await.0, 500);
    assert_eq!(host.call(INDEX, sent("retry", "clicks--index", 50)).await.0, 204);
    let copies = host.published();
    let [(topic, copy)] = copies.as_slice() else { panic!("{copies:?}") };
    let attributes = json!({"isobar-attempts": "0", "isobar-due": "2026-01-01T00:15:00Z", "isobar-for": "clicks--index",
        "isobar-id": "17", "isobar-published-at": "2026-01-01T00:00:00Z"});
    assert_eq!((topic.as_str(), &copy["attributes"]), ("clicks", &attributes));
    assert!(host.calls().is_empty());
    host.clock.advance(Duration::from_secs(900));
    assert_eq!(host.call(CLICKS, sent("retry", "clicks", 8)).await.0, 204);
    assert_eq!(host.calls(), ["retry 17, attempt 1"]);
    let (_, retried) = &host.published()[1];
    assert_eq!(
        (&retried["attributes"]["isobar-attempts"], &retried["attributes"]["isobar-for"]),
        (&json!("1"), &json!("clicks"))
    );
    let copy = json!({"data": copy["data"], "messageId": "99", "publishTime": "2026-01-01T00:00:01Z", "attributes": attributes});
    let copy =
        json!({"subscription": "projects/p-1/subscriptions/clicks--index", "message": copy, "deliveryAttempt": 3});
    assert_eq!(host.call(INDEX, &copy).await.0, 204);
    assert_eq!(host.calls(), ["index: retry 17, attempt 1"]);
}

#[tokio::test]
async fn a_message_due_in_the_far_future_is_handled_after_the_longest_wait() {
    let host = Host::new().await;
    let forged = |delivered: u32| {
        let attributes = json!({"isobar-due": "9999-12-31T23:59:59Z"});
        push("hello", json!({"attributes": attributes, "deliveryAttempt": delivered}))
    };
    assert_eq!(host.call(CLICKS, forged(1)).await.0, 500);
    // The wait of the new copy does not start again.
    host.clock.advance(Duration::from_secs(3_600));
    assert_eq!(host.call(CLICKS, forged(50)).await.0, 204);
    assert_eq!(host.published()[0].1["attributes"]["isobar-due"], "2026-01-01T06:00:00Z");
    assert!(host.calls().is_empty());
    host.clock.advance(PROFILE.limits.retry_after);
    assert_eq!(host.call(CLICKS, forged(2)).await.0, 204);
    assert_eq!(host.calls(), ["hello 17, attempt 1"]);
}
