//! Dead letters: kept before they are acknowledged, or not acknowledged.

use super::*;

/// The dead letter that was sent, as somebody would receive it.
fn received(sent: &Value) -> isobar_abstraction::driver::pub_sub::DeadLetter {
    let message = json!({
        "MessageId": "x", "Body": sent["MessageBody"], "MessageAttributes": sent["MessageAttributes"], "Attributes": {},
    });
    crate::dead_letter(&message).unwrap()
}

#[tokio::test]
async fn a_dead_letter_that_is_not_kept_is_not_acknowledged() {
    let refusing = without_dead_letters().await;
    let failing = Double::new(|_| answer(503, "")).await;
    let forbidden = Double::new(|_| answer(400, r#"{"__type":"AccessDeniedException","message":"no"}"#)).await;
    for host in [Host::on(&refusing.url), Host::on(&failing.url), Host::on(&forbidden.url), Host::alone()] {
        let batch = [record(QUEUE, "a", "ok"), record(QUEUE, "b", "reject"), record(QUEUE, "c", "ok")];
        assert_eq!(failed(&host, &batch).await, ["b"]);
    }
    assert!(put_off(&refusing).is_empty(), "it comes again when its queue says");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_as_it_came_and_its_reason_quotes_nothing() {
    let sqs = willing().await;
    let host = Host::on(&sqs.url);
    let mut bodiless = record(QUEUE, "b", "");
    bodiless["body"] = json!({"password": "hunter2"});
    assert_eq!(failed(&host, &[bodiless]).await, [""; 0]);
    let sent = sent(&sqs);
    assert_eq!(sent[0]["MessageBody"], r#"{"password":"hunter2"}"#);
    let dead = received(&sent[0]);
    assert!(dead.reason.contains("cannot be read") && !dead.reason.contains("hunter2"), "{}", dead.reason);
    assert!(host.seen().is_empty());
}
