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
