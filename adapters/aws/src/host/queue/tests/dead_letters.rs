//! Dead letters: acknowledged only after they are stored.

use super::*;

/// The sent dead letter as a client receives it.
fn received(sent: &Value) -> isobar_abstraction::driver::pub_sub::DeadLetter {
    let message = json!({
        "MessageId": "x", "Body": sent["MessageBody"], "MessageAttributes": sent["MessageAttributes"], "Attributes": {},
    });
    crate::dead_letter(&message).unwrap()
}

#[tokio::test]
async fn dead_letter_that_is_not_stored_is_not_acknowledged() {
    let missing = without_dead_letters().await;
    let failing = Double::new(|_| answer(503, "")).await;
    let forbidden = Double::new(|_| answer(400, r#"{"__type":"AccessDeniedException","message":"no"}"#)).await;
    for host in [Host::on(&missing.url), Host::on(&failing.url), Host::on(&forbidden.url), Host::alone()] {
        let batch = [record(QUEUE, "a", "ok"), record(QUEUE, "b", "reject"), record(QUEUE, "c", "ok")];
        assert_eq!(failed(&host, &batch).await, ["b"]);
    }
    assert!(visibility_changes(&missing).is_empty(), "it has the queue's visibility timeout");
}

#[tokio::test]
async fn malformed_message_is_a_dead_letter_with_its_original_body() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let mut without_body = record(QUEUE, "b", "");
    without_body["body"] = json!({"password": "hunter2"});
    assert_eq!(failed(&host, &[without_body]).await, [""; 0]);
    let sent = sent(&sqs);
    assert_eq!(sent[0]["MessageBody"], r#"{"password":"hunter2"}"#);
    let dead_letter = received(&sent[0]);
    let reason = dead_letter.reason;
    assert!(reason.contains("cannot be read") && !reason.contains("hunter2"), "{reason}");
    assert!(host.seen().is_empty());
}
