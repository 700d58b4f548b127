//! Which messages are acknowledged, and the delays of the others.

use std::time::Duration;

use futures_util::FutureExt;
use isobar_abstraction::ErrorKind;

use super::*;
use crate::host::tests::json_of;

#[tokio::test]
async fn malformed_record_does_not_fail_other_records() {
    let sqs = without_dead_letters().await;
    let host = Host::on(&sqs.url);
    let mut without_body = record(QUEUE, "b", "");
    without_body["body"] = json!({"hunter2": 1});
    let mut odd = record(QUEUE, "c", "ok");
    odd["messageAttributes"] = json!({"isobar.meta": {"stringValue": "{\"enc\":\"rot13\"}"}});
    let mut wrong = record(QUEUE, "d", "ok");
    wrong["messageAttributes"] = json!([7]);
    let batch = [record(QUEUE, "a", "ok"), without_body, odd, wrong, record(QUEUE, "e", "ok")];
    assert_eq!(failed(&host, &batch).await, ["b", "c", "d"]);
    assert_eq!(host.seen().len(), 2, "the app receives no malformed message");
}

#[tokio::test]
async fn retry_delay_is_rounded_up_to_seconds() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let batch = [("a", "retry/7000"), ("b", "retry/7001"), ("c", "retry/0"), ("d", "retry/99000000000")];
    let batch: Vec<_> = batch.iter().map(|(id, body)| record(QUEUE, id, body)).collect();
    assert_eq!(failed(&host, &batch).await, ["a", "b", "c", "d"]);
    let mut changes = visibility_changes(&sqs);
    changes.sort();
    let expected = [("receipt-a", 7), ("receipt-b", 8), ("receipt-c", 0), ("receipt-d", 21_600)];
    assert_eq!(changes, expected.map(|(receipt, seconds)| (receipt.to_owned(), seconds)));
    let (operation, batch) = requests(&sqs).swap_remove(0);
    assert_eq!(operation, "ChangeMessageVisibilityBatch");
    assert_eq!(batch["QueueUrl"], format!("{}/123456789012/clicks", sqs.url));
}

#[tokio::test]
async fn more_than_ten_changes_of_visibility_are_several_requests() {
    let sqs = working_sqs().await;
    let batch: Vec<_> = (0..25).map(|n| record(QUEUE, &format!("{n:02}"), "retry/3000")).collect();
    assert_eq!(failed(&Host::on(&sqs.url), &batch).await.len(), 25);
    let mut sizes: Vec<_> = requests(&sqs).iter().map(|(_, it)| it["Entries"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
    for (_, batch) in requests(&sqs) {
        let ids: std::collections::HashSet<_> =
            batch["Entries"].as_array().unwrap().iter().map(|it| &it["Id"]).collect();
        assert_eq!(ids.len(), batch["Entries"].as_array().unwrap().len());
    }
}

#[tokio::test]
async fn retry_with_failed_change_of_visibility_is_not_acknowledged() {
    let entry = r#"{"Failed":[{"Id":"0","Code":"ReceiptHandleIsInvalid","SenderFault":true}],"Successful":[]}"#;
    let (failing, rejecting) = (Double::new(|_| answer(500, "")).await, Double::new(move |_| answer(200, entry)).await);
    for host in [Host::alone(), Host::on(&failing.url), Host::on(&rejecting.url)] {
        let batch = [record(QUEUE, "a", "retry"), record(QUEUE, "b", "ok")];
        assert_eq!(failed(&host, &batch).await, ["a"]);
    }
}

#[tokio::test]
async fn attempt_is_sqss_receive_count() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    for (count, attempt) in [("1", 1), ("2", 2), ("0", 1), ("junk", 1), ("-1", 1), ("99999999999", u32::MAX)] {
        let record = with_attribute(record(QUEUE, "a", "ok"), "ApproximateReceiveCount", count);
        assert_eq!(failed(&host, &[record]).await, [""; 0]);
        assert_eq!(host.seen(), [format!("ok of None, attempt {attempt} of {attempt}")], "{count}");
    }
}

#[tokio::test]
async fn only_the_late_message_of_a_batch_is_not_acknowledged() {
    let sqs = working_sqs().await;
    let host = Host::on(&sqs.url);
    let batch = [record(QUEUE, "a", "ok"), record(QUEUE, "b", "hang"), record(QUEUE, "c", "ok")];
    let event = json!({"Records": batch}).to_string();
    let mut reply = Box::pin(host.reply(event.as_bytes()));
    assert!((&mut reply).now_or_never().is_none());
    assert_eq!(host.seen().len(), 3);
    host.clock.advance(Duration::from_secs(60));
    assert_eq!(failures(&json_of(reply.await.unwrap())), ["b"]);
    assert_eq!(visibility_changes(&sqs).len(), 1, "it has the delay of a retry");
}

#[tokio::test]
async fn reply_to_lambda_does_not_wait_for_an_unresponsive_sqs() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = Host::on(&format!("http://{}", silent.local_addr().unwrap()));
    let batch = [record(QUEUE, "a", "ok"), record(QUEUE, "b", "reject"), record(QUEUE, "c", "retry/3000")];
    let event = json!({"Records": batch}).to_string();
    let mut reply = Box::pin(host.reply(event.as_bytes()));
    for _ in 0..2 {
        assert!((&mut reply).now_or_never().is_none());
        host.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(failures(&json_of(reply.await.unwrap())), ["b", "c"]);
}

#[tokio::test]
async fn unknown_queue_is_not_found_with_the_queues_of_the_app() {
    let host = Host::alone();
    let other = record("arn:aws:sqs:eu-west-1:123456789012:other", "b", "ok");
    let error = host.ask(&json!({"Records": [record(QUEUE, "a", "ok"), other]})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for named in ["queue `other`", "`clicks.fifo`", "`pages--events`", "`queue=`"] {
        assert!(error.message().contains(named), "{error}");
    }
    assert!(host.seen().is_empty(), "no message is handled, since Lambda delivers the batch again");
}

#[tokio::test]
async fn queue_is_found_by_prefix_and_by_the_url_of_its_topic() {
    let sqs = working_sqs().await;
    let vars = [("ISOBAR_PREFIX", "dev-"), ("ISOBAR_TOPIC_CLICKS", "sns://clicks-prod?queue=work")];
    let queue = "arn:aws:sqs:us-east-1:999999999999:work";
    let host = Host::with(&sqs.url, &vars, shop);
    assert_eq!(failed(&host, &[record(queue, "a", "reject")]).await, [""; 0]);
    assert_eq!(sent(&sqs)[0]["QueueUrl"], format!("{}/999999999999/work--dead", sqs.url));
    let prefixed = Host::with(&sqs.url, &vars[..1], shop);
    assert_eq!(failed(&prefixed, &[record("arn:aws:sqs:eu-west-1:1:dev-clicks", "a", "ok")]).await, [""; 0]);
    assert!(prefixed.ask(&json!({"Records": [record(QUEUE, "a", "ok")]})).await.is_err());
}
