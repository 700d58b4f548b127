//! What becomes of a message after its handler answered.

use super::messages::{CLICKS, push};
use super::*;

/// Google, on a bad day: it takes no message, or none to this topic.
async fn failing(topic: &'static str) -> Host {
    let double = Double::new(move |request| match request.uri().path() {
        path if path.ends_with(&format!("{topic}:publish")) => {
            told(403, json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}))
        }
        _ => google(request),
    });
    Host::at(double.await, &[])
}

fn only(host: &Host) -> (String, Value) {
    let mut published = host.published();
    assert_eq!(published.len(), 1, "{published:?}");
    published.remove(0)
}

#[tokio::test]
async fn a_message_that_is_to_be_tried_again_is_published_as_a_copy_and_then_acknowledged() {
    let host = Host::new().await;
    let asked = push("later/x", json!({"attributes": {"lang": "en"}, "deliveryAttempt": 2}));
    assert_eq!(host.call(CLICKS, asked).await, (204, String::new()));
    let (topic, copy) = only(&host);
    assert_eq!((topic.as_str(), &copy["data"]), ("clicks", &json!("bGF0ZXIveA==")));
    let ours = &copy["attributes"];
    assert_eq!((&ours["isobar-attempts"], &ours["isobar-id"]), (&json!("2"), &json!("17")));
    assert_eq!((&ours["isobar-due"], &ours["isobar-for"]), (&json!("2026-01-01T01:00:00Z"), &json!("clicks")));
    assert_eq!(ours["lang"], "en");
}

#[tokio::test]
async fn a_handler_that_panics_or_hangs_is_tried_again() {
    let host = Host::new().await;
    assert_eq!(host.call(CLICKS, push("panic", json!({}))).await.0, 204);
    assert_eq!(only(&host).1["attributes"]["isobar-attempts"], "1");
    let host = Host::new().await;
    assert_eq!(host.call_after(PROFILE.limits.event_timeout, CLICKS, push("hang", json!({}))).await.0, 204);
    assert_eq!(only(&host).1["attributes"]["isobar-attempts"], "1");
    assert_eq!(host.call(CLICKS, push("hello", json!({}))).await.0, 204, "its neighbours are well");
}

#[tokio::test]
async fn a_message_with_an_ordering_key_is_given_back() {
    let host = Host::new().await;
    let keyed = |words: &str| push(words, json!({"orderingKey": "room 7"}));
    for words in ["retry", "later", "panic"] {
        let (status, answer) = host.call(CLICKS, keyed(words)).await;
        assert_eq!((status, answer.contains("tried again")), (500, true), "{answer}");
    }
    assert!(host.published().is_empty());
    assert_eq!(host.call(CLICKS, keyed("reject")).await.0, 204);
    let (topic, letter) = only(&host);
    assert_eq!((topic.as_str(), &letter["orderingKey"]), ("clicks--dead", &json!("room 7")));
}

#[tokio::test]
async fn a_message_whose_subscription_is_unknown_is_given_back() {
    let host = Host::new().await;
    assert_eq!(host.call(CLICKS, push("retry", json!({"subscription": null}))).await.0, 500);
    assert!(host.published().is_empty());
}

#[tokio::test]
async fn a_rejected_message_is_buried_and_then_acknowledged() {
    let host = Host::new().await;
    assert_eq!(host.call(CLICKS, push("reject", json!({"deliveryAttempt": 2}))).await.0, 204);
    let (topic, letter) = only(&host);
    assert_eq!(topic, "clicks--dead");
    let ours = &letter["attributes"];
    assert_eq!((&ours["isobar-dead-reason"], &ours["isobar-dead-attempts"]), (&json!("bad apple"), &json!("2")));
    assert_eq!((&ours["isobar-dead-source"], &ours["isobar-id"]), (&json!("clicks"), &json!("17")));
}

#[tokio::test]
async fn a_message_is_given_up_after_the_attempts_that_are_declared() {
    for (words, told) in [("retry", "not yet"), ("later", "not yet"), ("panic", "panicked")] {
        let host = Host::new().await;
        assert_eq!(host.call(CLICKS, push(words, json!({"deliveryAttempt": 2}))).await.0, 204);
        assert_eq!(only(&host).0, "clicks", "the third try is left");
        let host = Host::new().await;
        assert_eq!(host.call(CLICKS, push(words, json!({"deliveryAttempt": 3}))).await.0, 204);
        let (topic, letter) = only(&host);
        let reason = letter["attributes"]["isobar-dead-reason"].as_str().unwrap();
        assert_eq!(topic, "clicks--dead");
        assert!(reason.contains("gave up after 3 attempts") && reason.contains(told), "{reason}");
    }
    let host = Host::new().await;
    let copy =
        json!({"attributes": {"isobar-attempts": "2", "isobar-due": "2026-01-01T00:00:00Z", "isobar-for": "clicks"}});
    assert_eq!(host.call(CLICKS, push("retry", copy)).await.0, 204);
    assert_eq!(only(&host).0, "clicks--dead", "a copy of two attempts");
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_safe() {
    for (topic, words) in [("clicks", "retry"), ("clicks", "panic"), ("clicks--dead", "reject")] {
        let host = failing(topic).await;
        let (status, answer) = host.call(CLICKS, push(words, json!({}))).await;
        assert_eq!((status, answer.contains("comes again")), (500, true), "{words}: {answer}");
        assert_eq!(host.published().len(), 1, "it was tried");
    }
    let host = failing("clicks").await;
    let ours = json!({"isobar-attempts": "1", "isobar-due": "2026-02-01T00:00:00Z", "isobar-for": "clicks"});
    let undue = push("hello", json!({"attributes": ours, "deliveryAttempt": 60}));
    assert_eq!(host.call(CLICKS, undue).await.0, 500, "no other has taken its place");
    assert!(host.seen().is_empty());
}
