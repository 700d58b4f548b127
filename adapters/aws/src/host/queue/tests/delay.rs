//! Messages with a delay, which SQS delivers before they are due.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::Clock;

use super::*;
use crate::host::tests::json_of;

/// A record of a message that is due after `wait`, at its delivery number `count`, sent and first received `ago` seconds ago.
fn delayed(host: &Host, wait: Duration, count: u32, ago: u64) -> Value {
    let now = host.clock.now();
    let first = to_millis(now - Duration::from_secs(ago)).to_string();
    let record = with_attribute(record(QUEUE, "a", "ok"), "SentTimestamp", &first);
    let record = with_attribute(record, "ApproximateFirstReceiveTimestamp", &first);
    let mut record = with_attribute(record, "ApproximateReceiveCount", &count.to_string());
    let meta = json!({"id": "m", "due": to_millis(now + wait)}).to_string();
    record["messageAttributes"] = json!({"isobar.meta": {"stringValue": meta, "dataType": "String"}});
    record
}

#[tokio::test]
async fn message_that_is_not_due_is_hidden_for_the_rest_without_the_app() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    for (millis, seconds) in [(1, 1), (2_000, 2), (899_001, 900), (u64::from(u32::MAX), 900)] {
        assert_eq!(failed(&host, &[delayed(&host, Duration::from_millis(millis), 1, 0)]).await, ["a"]);
        assert_eq!(visibility_changes(&sqs).pop().unwrap().1, seconds);
    }
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn early_delivery_counts_no_attempt() {
    let host = Host::alone();
    host.clock.advance(Duration::from_secs(1_000));
    for (count, ago, attempt) in [(1, 0, 1), (2, 0, 2), (1, 900, 1), (2, 900, 1), (3, 900, 2)] {
        let mut record = delayed(&host, Duration::ZERO, count, ago);
        assert_eq!(failed(&host, std::slice::from_ref(&record)).await, [""; 0]);
        assert_eq!(host.seen(), [format!("ok of None, attempt {attempt} of {attempt}")], "{count} {ago}");
        record["attributes"]["ApproximateFirstReceiveTimestamp"] = json!("soon");
        failed(&host, &[record]).await;
        assert_eq!(host.seen(), [format!("ok of None, attempt {count} of {count}")]);
    }
}

/// SQS deletes a message after 14 days, and a hidden message blocks its group.
#[tokio::test]
async fn wrong_due_time_hides_a_message_for_15_minutes_after_its_sending_and_no_group() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    host.clock.advance(Duration::from_secs(1_000));
    let year = Duration::from_secs(365 * 24 * 3_600);
    assert_eq!(failed(&host, &[delayed(&host, year, 1, 840)]).await, ["a"]);
    let mut without_time = delayed(&host, year, 1, 0);
    without_time["attributes"].as_object_mut().unwrap().remove("SentTimestamp");
    assert_eq!(failed(&host, &[without_time]).await, ["a"]);
    assert_eq!(visibility_changes(&sqs), [60, 900].map(|seconds| ("receipt-a".to_owned(), seconds)));
    assert!(host.seen().is_empty());
    let mut ordered = with_attribute(delayed(&host, year, 1, 0), "MessageGroupId", "x");
    ordered["eventSourceARN"] = json!(format!("{QUEUE}.fifo"));
    assert_eq!(failed(&host, &[delayed(&host, year, 2, 900), ordered]).await, [""; 0]);
    assert_eq!(host.seen().len(), 2);
}

#[tokio::test]
async fn message_that_is_not_due_is_hidden_while_other_messages_of_its_batch_are_handled() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let batch =
        [record(QUEUE, "b", "hang"), record(QUEUE, "c", "retry/7000"), delayed(&host, Duration::from_secs(70), 1, 0)];
    let event = json!({"Records": batch}).to_string();
    let reply = pin!(host.reply(event.as_bytes()));
    let hidden = pin!(async {
        while visibility_changes(&sqs).is_empty() {
            tokio::task::yield_now().await;
        }
        host.clock.advance(Duration::from_secs(60));
    });
    let Either::Right(((), reply)) = select(reply, hidden).await else { panic!("a handler that hangs has ended") };
    assert_eq!(failures(&json_of(reply.await.unwrap())), ["a", "b", "c"]);
    let changes = visibility_changes(&sqs);
    assert_eq!(changes[0], ("receipt-a".to_owned(), 70));
    assert!(changes.contains(&("receipt-c".to_owned(), 0)), "its wait has ended: {changes:?}");
}
