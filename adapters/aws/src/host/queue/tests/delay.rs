//! Messages with a delay, which SQS delivers before they are due.

use std::time::Duration;

use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::Clock;

use super::*;

/// A record of a message that is due after `wait`, at its delivery number `count`, first received `ago` seconds ago.
fn delayed(host: &Host, wait: Duration, count: u32, ago: u64) -> Value {
    let now = host.clock.now();
    let first = to_millis(now - Duration::from_secs(ago)).to_string();
    let record = with_attribute(record(QUEUE, "a", "ok"), "ApproximateFirstReceiveTimestamp", &first);
    let mut record = with_attribute(record, "ApproximateReceiveCount", &count.to_string());
    let meta = json!({"id": "m", "due": to_millis(now + wait)}).to_string();
    record["messageAttributes"] = json!({"isobar.meta": {"stringValue": meta, "dataType": "String"}});
    record
}

#[tokio::test]
async fn message_that_is_not_due_is_hidden_for_the_rest_without_the_app() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    for (millis, seconds) in [(1, 1), (2_000, 2), (899_001, 900), (u64::from(u32::MAX), 21_600)] {
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
