//! The settlement of a message after its handler.

use super::messages::{CLICKS, INDEX, push};
use super::*;

/// A host whose double of Google rejects messages to this topic.
async fn failing(topic: &'static str) -> Host {
    let double = Double::new(move |request| match request.uri().path() {
        path if path.ends_with(&format!("{topic}:publish")) => {
            response(403, json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}))
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
async fn a_message_with_an_ordering_key_is_not_acknowledged_for_a_retry() {
    let host = Host::new().await;
    let keyed = |body: &str| push(body, json!({"orderingKey": "chat 7"}));
    for body in ["retry", "later", "panic"] {
        let (status, answer) = host.call(CLICKS, keyed(body)).await;
        assert_eq!((status, answer.contains("is retried")), (500, true), "{answer}");
    }
    assert!(host.published().is_empty());
    assert_eq!(host.call(CLICKS, keyed("reject")).await.0, 204);
    let (topic, dead_letter) = only(&host);
    assert_eq!((topic.as_str(), &dead_letter["orderingKey"]), ("clicks--dead", &json!("chat 7")));
}

#[tokio::test]
async fn copies_and_dead_letters_are_for_the_subscription_of_the_push_only() {
    let named = |name: &str| json!({"subscription": format!("projects/p-1/subscriptions/{name}")});
    for (path, subscription, expected) in [
        (CLICKS, json!({}), "clicks"),
        (CLICKS, json!({"subscription": null}), "clicks"),
        (CLICKS, named("gcf-clicks"), "gcf-clicks"),
        (INDEX, json!({"subscription": null}), "clicks--index"),
        (INDEX, named("clicks--index"), "clicks--index"),
    ] {
        let host = Host::new().await;
        assert_eq!(host.call(path, push("retry", subscription.clone())).await.0, 204);
        let (topic, copy) = only(&host);
        assert_eq!((topic.as_str(), &copy["attributes"]["isobar-for"]), ("clicks", &json!(expected)), "{path}");
        let host = Host::new().await;
        assert_eq!(host.call(path, push("reject", subscription)).await.0, 204);
        let (topic, dead_letter) = only(&host);
        let dead = if path == INDEX { "clicks--index--dead" } else { "clicks--dead" };
        assert_eq!((topic.as_str(), &dead_letter["attributes"]["isobar-for"]), (dead, &json!(expected)), "{path}");
    }
}

#[tokio::test]
async fn a_message_is_not_acknowledged_before_its_outcome_is_stored() {
    for (topic, body) in [("clicks", "retry"), ("clicks", "panic"), ("clicks--dead", "reject")] {
        let host = failing(topic).await;
        let (status, answer) = host.call(CLICKS, push(body, json!({}))).await;
        assert_eq!((status, answer.contains("delivered again")), (500, true), "{body}: {answer}");
        assert_eq!(host.published().len(), 1, "a publish was attempted");
    }
    let host = failing("clicks").await;
    let attributes = json!({"isobar-attempts": "1", "isobar-due": "2026-02-01T00:00:00Z", "isobar-for": "clicks"});
    let undue = push("hello", json!({"attributes": attributes, "deliveryAttempt": 60}));
    assert_eq!(host.call(CLICKS, undue).await.0, 500, "no new copy replaces it");
    assert!(host.calls().is_empty());
}
