//! What is acknowledged, and when the rest comes again.

use std::time::Duration;

use futures_util::FutureExt;
use isobar_abstraction::ErrorKind;

use super::*;
use crate::host::tests::whole;

#[tokio::test]
async fn one_record_that_cannot_be_read_fails_none_of_its_neighbours() {
    let sqs = without_dead_letters().await;
    let host = Host::on(&sqs.url);
    let mut bodiless = record(QUEUE, "b", "");
    bodiless["body"] = json!({"hunter2": 1});
    let mut odd = record(QUEUE, "c", "ok");
    odd["messageAttributes"] = json!({"isobar.meta": {"stringValue": "{\"enc\":\"rot13\"}"}});
    let mut wrong = record(QUEUE, "d", "ok");
    wrong["messageAttributes"] = json!([7]);
    let batch = [record(QUEUE, "a", "ok"), bodiless, odd, wrong, record(QUEUE, "e", "ok")];
    assert_eq!(failed(&host, &batch).await, ["b", "c", "d"]);
    assert_eq!(host.seen().len(), 2, "the app never sees what cannot be read");
}

#[tokio::test]
async fn a_retry_comes_again_after_whole_seconds_that_are_not_shorter() {
    let sqs = willing().await;
    let host = Host::on(&sqs.url);
    let batch = [("a", "retry/7000"), ("b", "retry/7001"), ("c", "retry/0"), ("d", "retry/99000000000")];
    let batch: Vec<_> = batch.iter().map(|(id, body)| record(QUEUE, id, body)).collect();
    assert_eq!(failed(&host, &batch).await, ["a", "b", "c", "d"]);
    let mut waits = put_off(&sqs);
    waits.sort();
    let wanted = [("receipt-a", 7), ("receipt-b", 8), ("receipt-c", 0), ("receipt-d", 21_600)];
    assert_eq!(waits, wanted.map(|(receipt, seconds)| (receipt.to_owned(), seconds)));
    let (operation, batch) = asked(&sqs).swap_remove(0);
    assert_eq!(operation, "ChangeMessageVisibilityBatch");
    assert_eq!(batch["QueueUrl"], format!("{}/123456789012/clicks", sqs.url));
}

#[tokio::test]
async fn more_than_ten_are_put_off_in_several_calls() {
    let sqs = willing().await;
    let batch: Vec<_> = (0..25).map(|n| record(QUEUE, &format!("{n:02}"), "retry/3000")).collect();
    assert_eq!(failed(&Host::on(&sqs.url), &batch).await.len(), 25);
    let mut sizes: Vec<_> = asked(&sqs).iter().map(|(_, it)| it["Entries"].as_array().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
    for (_, batch) in asked(&sqs) {
        let ids: std::collections::HashSet<_> =
            batch["Entries"].as_array().unwrap().iter().map(|it| &it["Id"]).collect();
        assert_eq!(ids.len(), batch["Entries"].as_array().unwrap().len());
    }
}

#[tokio::test]
async fn what_cannot_be_put_off_is_not_acknowledged_either() {
    let entry = r#"{"Failed":[{"Id":"0","Code":"ReceiptHandleIsInvalid","SenderFault":true}],"Successful":[]}"#;
    let (failing, refusing) = (Double::new(|_| answer(500, "")).await, Double::new(move |_| answer(200, entry)).await);
    for host in [Host::alone(), Host::on(&failing.url), Host::on(&refusing.url)] {
        let batch = [record(QUEUE, "a", "retry"), record(QUEUE, "b", "ok")];
        assert_eq!(failed(&host, &batch).await, ["a"]);
    }
}

#[tokio::test]
async fn the_attempt_is_what_sqs_counted() {
    let sqs = willing().await;
    let host = Host::on(&sqs.url);
    for (count, attempt) in [("1", 1), ("2", 2), ("0", 1), ("junk", 1), ("-1", 1), ("99999999999", u32::MAX)] {
        let record = with_attribute(record(QUEUE, "a", "ok"), "ApproximateReceiveCount", count);
        assert_eq!(failed(&host, &[record]).await, [""; 0]);
        assert_eq!(host.seen(), [format!("ok of None, attempt {attempt} of {attempt}")], "{count}");
    }
}

#[tokio::test]
async fn a_message_that_is_late_comes_again_and_its_neighbours_do_not() {
    let sqs = willing().await;
    let host = Host::on(&sqs.url);
    let batch = [record(QUEUE, "a", "ok"), record(QUEUE, "b", "hang"), record(QUEUE, "c", "ok")];
    let event = json!({"Records": batch}).to_string();
    let mut answered = Box::pin(host.reply(event.as_bytes()));
    assert!((&mut answered).now_or_never().is_none());
    assert_eq!(host.seen().len(), 3);
    host.clock.advance(Duration::from_secs(60));
    assert_eq!(failures(&whole(answered.await.unwrap())), ["b"]);
    assert_eq!(put_off(&sqs).len(), 1, "it waits as any message that is tried again");
}

#[tokio::test]
async fn sqs_that_does_not_answer_holds_up_no_answer_to_lambda() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = Host::on(&format!("http://{}", silent.local_addr().unwrap()));
    let batch = [record(QUEUE, "a", "ok"), record(QUEUE, "b", "reject"), record(QUEUE, "c", "retry/3000")];
    let event = json!({"Records": batch}).to_string();
    let mut answered = Box::pin(host.reply(event.as_bytes()));
    for _ in 0..2 {
        assert!((&mut answered).now_or_never().is_none());
        host.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(failures(&whole(answered.await.unwrap())), ["b", "c"]);
}

#[tokio::test]
async fn a_queue_that_is_none_of_the_app_s_is_an_error_that_says_which_are() {
    let host = Host::alone();
    let other = record("arn:aws:sqs:eu-west-1:123456789012:other", "b", "ok");
    let error = host.ask(&json!({"Records": [record(QUEUE, "a", "ok"), other]})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for named in ["queue `other`", "`clicks.fifo`", "`pages--events`", "`queue=`"] {
        assert!(error.message().contains(named), "{error}");
    }
    assert!(host.seen().is_empty(), "nothing is handled that Lambda would hand over again");
}

#[tokio::test]
async fn a_queue_is_known_by_its_prefix_and_by_the_url_of_its_topic() {
    let sqs = willing().await;
    let vars = [("ISOBAR_PREFIX", "dev-"), ("ISOBAR_TOPIC_CLICKS", "sns://clicks-prod?queue=work")];
    let queue = "arn:aws:sqs:us-east-1:999999999999:work";
    let host = Host::with(&sqs.url, &vars, shop);
    assert_eq!(failed(&host, &[record(queue, "a", "reject")]).await, [""; 0]);
    assert_eq!(sent(&sqs)[0]["QueueUrl"], format!("{}/999999999999/work--dead", sqs.url));
    let prefixed = Host::with(&sqs.url, &vars[..1], shop);
    assert_eq!(failed(&prefixed, &[record("arn:aws:sqs:eu-west-1:1:dev-clicks", "a", "ok")]).await, [""; 0]);
    assert!(prefixed.ask(&json!({"Records": [record(QUEUE, "a", "ok")]})).await.is_err());
}
