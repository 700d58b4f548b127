//! What is delivered, when, and how often.

use std::time::SystemTime;

use isobar_abstraction::driver::pub_sub::PubSub;
use isobar_abstraction::driver::{Clock, Settlement};
use isobar_abstraction::{ObjectChange, ObjectEvent};

use super::super::LocalPubSub;
use super::*;

#[tokio::test]
async fn messages_are_leased_in_the_order_in_which_they_are_due() {
    let bench = Bench::new().await;
    bench.publish(vec![raw("a"), raw("b"), raw("c")]).await;
    let first = bench.lease(1).await;
    assert_eq!(bodies(&first), ["a"]);
    bench.settle(first, Settlement::Retry(seconds(5))).await;
    bench.clock.advance(seconds(1));
    bench.publish(vec![raw("d")]).await;
    assert_eq!(bodies(&bench.lease(9).await), ["b", "c", "d"]);
    assert!(bench.lease(9).await.is_empty());
    bench.clock.advance(seconds(4));
    assert_eq!(bodies(&bench.lease(9).await), ["a"]);
}

#[tokio::test]
async fn a_message_arrives_as_it_was_published() {
    let bench = Bench::new().await;
    let mut sent = keyed("room-7", "\u{0}bytes\u{fffd}");
    sent.attributes.insert("lang".into(), "en".into());
    let ids = bench.publish(vec![sent.clone()]).await;
    let published_at = bench.clock.now();
    bench.clock.advance(seconds(60));
    let message = &bench.lease(1).await[0].message;
    assert_eq!((message.id.as_str(), message.attempt), (ids[0].as_str(), 1));
    assert_eq!((&message.body, &message.attributes), (&sent.body, &sent.attributes));
    assert_eq!((&message.ordering_key, message.trace_parent), (&sent.ordering_key, Some(sent.trace_parent)));
    assert_eq!(message.published_at, published_at);
}

#[tokio::test]
async fn a_key_keeps_its_order_while_its_first_message_is_leased_or_waits_for_a_retry() {
    let bench = Bench::new().await;
    bench.publish(vec![keyed("k", "k1"), keyed("k", "k2"), raw("free"), keyed("l", "l1")]).await;
    let mut leased = bench.lease(9).await;
    assert_eq!(bodies(&leased), ["k1", "free", "l1"]);
    let head = leased.remove(0);
    bench.settle(vec![head], Settlement::Retry(seconds(5))).await;
    assert!(bench.lease(9).await.is_empty(), "k2 overtook k1");
    bench.clock.advance(seconds(5));
    let again = bench.lease(9).await;
    assert_eq!((bodies(&again), again[0].message.attempt), (vec!["k1"], 2));
    bench.settle(again, Settlement::Done).await;
    assert_eq!(bodies(&bench.lease(9).await), ["k2"]);
}

#[tokio::test]
async fn a_dead_message_lets_the_next_of_its_key_go() {
    let bench = Bench::new().await;
    bench.publish(vec![keyed("k", "k1"), keyed("k", "k2")]).await;
    let head = bench.lease(9).await;
    bench.settle(head, Settlement::DeadLetter("bad".into())).await;
    assert_eq!(bodies(&bench.lease(9).await), ["k2"]);
}

#[tokio::test]
async fn a_delivery_counts_also_when_the_process_dies_of_it() {
    let mut bench = Bench::new().await;
    let ids = bench.publish(vec![keyed("k", "poison"), keyed("k", "later")]).await;
    for attempt in 1..=3 {
        let leased = bench.lease(9).await;
        assert_eq!(bodies(&leased), ["poison"]);
        assert_eq!((leased[0].message.attempt, leased[0].message.id.as_str()), (attempt, ids[0].as_str()));
        assert_eq!(bench.counts(), (1, 1, 0));
        bench = bench.crash().await;
        assert_eq!(bench.counts(), (2, 0, 0));
    }
}

#[tokio::test]
async fn ids_are_never_given_twice() {
    let bench = Bench::new().await;
    let mut ids = bench.publish(vec![raw("a"), raw("b")]).await;
    let leased = bench.lease(9).await;
    bench.settle(leased, Settlement::Done).await;
    let bench = bench.crash().await;
    ids.extend(bench.publish(vec![raw("c")]).await);
    let nowhere = bench.queue.publish("unknown", vec![raw("d")]).await.unwrap();
    ids.extend(nowhere.iter().map(ToString::to_string));
    ids.extend(bench.publish(vec![raw("e")]).await);
    let numbers: Vec<_> = ids.iter().filter_map(|id| number_in(id)).collect();
    assert_eq!((numbers, ids.len()), (vec![1, 2, 3, 4, 5], 5));
}

#[tokio::test]
async fn a_message_without_a_subscription_is_dropped() {
    let bench = Bench::new().await;
    let unknown = EventQueue::topic("unknown");
    assert_eq!(bench.queue.publish("unknown", vec![raw("a"), raw("b")]).await.unwrap().len(), 2);
    bench.queue.subscribe(vec![unknown.clone()]).await.unwrap();
    assert!(bench.queue.lease(&unknown, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_waits_for_a_source_that_is_no_longer_subscribed_stays() {
    let bench = Bench::new().await;
    bench.publish(vec![raw("a")]).await;
    bench.queue.subscribe(vec![EventQueue::bucket("jobs")]).await.unwrap();
    bench.publish(vec![raw("b")]).await;
    assert_eq!(bench.queue.sources().unwrap(), [EventQueue::bucket("jobs"), EventQueue::topic("jobs")]);
    assert_eq!(bodies(&bench.lease(9).await), ["a"]);
}

#[tokio::test]
async fn an_object_event_commits_with_the_transaction_it_is_part_of() {
    let bench = Bench::new().await;
    let photos = EventQueue::bucket("photos");
    bench.queue.subscribe(vec![photos.clone()]).await.unwrap();
    for bucket in ["photos", "unknown"] {
        let queue = bench.queue.enqueuer();
        let event = ObjectEvent::new(bucket, "a.jpg", ObjectChange::Deleted, SystemTime::UNIX_EPOCH);
        let write = move |transaction: &redb::WriteTransaction| queue.enqueue_event(transaction, &event);
        bench.store.write(write).await.unwrap();
    }
    let leased = bench.queue.lease(&photos, 9).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert!(bodies(&leased)[0].contains("a.jpg"), "{leased:?}");
    assert_eq!((leased[0].message.attempt, leased[0].message.trace_parent), (1, None));
}

#[tokio::test]
async fn a_settled_message_is_not_settled_twice() {
    let bench = Bench::new().await;
    bench.publish(vec![raw("a")]).await;
    let first = bench.lease(1).await;
    bench.settle(first.clone(), Settlement::Retry(seconds(0))).await;
    bench.settle(first.clone(), Settlement::DeadLetter("twice".into())).await;
    assert_eq!(bench.counts(), (1, 0, 0));
    let second = bench.lease(1).await;
    bench.settle(first, Settlement::Done).await;
    assert_eq!(bench.counts(), (0, 1, 0));
    bench.settle(second.clone(), Settlement::Done).await;
    bench.settle(second, Settlement::Done).await;
    assert_eq!(bench.counts(), (0, 0, 0));
}

#[tokio::test]
async fn a_released_message_is_due_as_before_and_the_attempt_does_not_count() {
    let bench = Bench::new().await;
    bench.publish(vec![raw("a"), raw("b")]).await;
    bench.clock.advance(seconds(1));
    bench.publish(vec![raw("c")]).await;
    let leased = bench.lease(2).await;
    bench.queue.release(&bench.jobs, leased).await.unwrap();
    let leased = bench.lease(9).await;
    assert_eq!(bodies(&leased), ["a", "b", "c"]);
    assert!(leased.iter().all(|leased| leased.message.attempt == 1));
}

#[tokio::test]
async fn a_retry_is_never_early() {
    let bench = Bench::new().await;
    bench.publish(vec![raw("a")]).await;
    let leased = bench.lease(1).await;
    bench.settle(leased, Settlement::Retry(Duration::from_micros(1_500))).await;
    let due = bench.queue.next_due(&bench.jobs).unwrap().unwrap();
    assert_eq!(due, bench.clock.now() + Duration::from_millis(2));
    bench.clock.advance(Duration::from_millis(1));
    assert!(bench.lease(1).await.is_empty());
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bodies(&bench.lease(1).await), ["a"]);
    assert_eq!(bench.queue.next_due(&bench.jobs).unwrap(), None);
}

#[tokio::test]
async fn a_peek_shows_what_waits_and_leases_nothing() {
    let bench = Bench::new().await;
    bench.publish(vec![keyed("k", "k1"), keyed("k", "k2"), raw("a"), keyed("l", "l1"), keyed("l", "l2")]).await;
    let peek = |limit| {
        let peeked = bench.queue.peek(&bench.jobs, limit).unwrap();
        peeked.iter().map(|waiting| String::from_utf8_lossy(&waiting.message.body).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(peek(2), ["k1", "a"]);
    assert_eq!(peek(4), ["k1", "a", "l1", "k2"]);
    assert_eq!(bodies(&bench.lease(1).await), ["k1"]);
    assert_eq!(peek(9), ["a", "l1", "k2", "l2"]);
}

#[tokio::test]
async fn the_driver_answers_with_one_result_for_each_message() {
    let bench = Bench::new().await;
    let topic = LocalPubSub::new("jobs", bench.queue.clone());
    let results = topic.publish(vec![raw("a"), raw("b")]).await;
    let ids: Vec<_> = results.into_iter().map(|result| result.unwrap().to_string()).collect();
    assert_eq!(ids, ["1767225600000-1", "1767225600000-2"]);
    let file = bench.folder.path().join("a file, not a folder");
    std::fs::write(&file, "").unwrap();
    let broken = LocalPubSub::new("jobs", Queue::new(Store::new(&file, 8 << 20), Arc::new(bench.clock.clone()), None));
    let results = broken.publish(vec![raw("a"), raw("b")]).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.unwrap_err().kind()).collect();
    assert_eq!(kinds, [ErrorKind::Config, ErrorKind::Config]);
}
