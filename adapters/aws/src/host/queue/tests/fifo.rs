//! Groups of FIFO queues: each is in order and blocks no other.

use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::host::tests::json_of;

const FIFO: &str = "arn:aws:sqs:eu-west-1:123456789012:clicks.fifo";

fn of_group(group: &str, id: &str, body: &str) -> Value {
    with_attribute(record(FIFO, id, body), "MessageGroupId", group)
}

#[tokio::test]
async fn retry_delays_the_rest_of_its_group_and_no_other_group() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let batch = [
        of_group("x", "a", "one"),
        of_group("y", "b", "two"),
        of_group("x", "c", "retry/5000"),
        of_group("y", "d", "three"),
        of_group("x", "e", "four"),
        of_group("x", "f", "reject"),
    ];
    assert_eq!(failed(&host, &batch).await, ["c", "e", "f"]);
    let seen = host.seen();
    assert!(!seen.iter().any(|it| it.starts_with("four") || it.starts_with("reject")), "{seen:?}");
    assert!(seen.contains(&"one of Some(\"x\"), attempt 1 of 1".to_owned()), "{seen:?}");
    let of_y: Vec<_> = seen.iter().filter(|it| it.contains("\"y\"")).map(|it| &it[..3]).collect();
    assert_eq!(of_y, ["two", "thr"]);
    assert_eq!(visibility_changes(&sqs), ["receipt-c", "receipt-e", "receipt-f"].map(|it| (it.to_owned(), 5)));
    assert!(sent(&sqs).is_empty(), "a waiting message is not settled");
}

#[tokio::test]
async fn dead_letter_that_is_not_stored_blocks_its_group() {
    let sqs = without_dead_letters().await;
    let host = Host::on(&sqs.url);
    let batch = [of_group("x", "a", "reject"), of_group("x", "b", "ok"), of_group("y", "c", "ok")];
    assert_eq!(failed(&host, &batch).await, ["a", "b"]);
    assert_eq!(host.seen().len(), 2);
}

#[tokio::test]
async fn group_in_a_standard_queue_is_no_ordering_key() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let of_tenant = |id, body| with_attribute(record(QUEUE, id, body), "MessageGroupId", "tenant");
    assert_eq!(failed(&host, &[of_tenant("a", "retry"), of_tenant("b", "ok")]).await, ["a"]);
    assert_eq!(host.seen(), ["retry of None, attempt 1 of 1", "ok of None, attempt 1 of 1"]);
}

#[tokio::test]
async fn late_message_blocks_its_group() {
    let host = Host::alone();
    let batch = [of_group("x", "a", "hang"), of_group("x", "b", "ok"), of_group("y", "c", "ok")];
    let event = json!({"Records": batch}).to_string();
    let mut reply = Box::pin(host.reply(event.as_bytes()));
    assert!((&mut reply).now_or_never().is_none());
    host.clock.advance(Duration::from_secs(60));
    assert_eq!(failures(&json_of(reply.await.unwrap())), ["a", "b"]);
    assert_eq!(host.seen(), ["hang of Some(\"x\"), attempt 1 of 1", "ok of Some(\"y\"), attempt 1 of 1"]);
}
