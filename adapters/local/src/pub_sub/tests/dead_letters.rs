//! What was given up, and its second life.

use isobar_abstraction::driver::{Clock, Settlement};

use super::*;

async fn kill(bench: &Bench, reason: &str) {
    let leased = bench.lease(99).await;
    bench.settle(leased, Settlement::DeadLetter(reason.to_owned())).await;
}

#[tokio::test]
async fn a_dead_letter_keeps_the_message_and_the_reason() {
    let bench = Bench::new().await;
    let mut message = raw("a");
    message.attributes.insert("lang".into(), "en".into());
    let ids = bench.publish(vec![message]).await;
    let leased = bench.lease(1).await;
    bench.settle(leased, Settlement::Retry(seconds(1))).await;
    bench.clock.advance(seconds(1));
    kill(&bench, "no such user").await;
    let bench = bench.crash().await;
    let dead_letters = bench.queue.dead_letters(&bench.jobs, None, 9).unwrap();
    let dead_letter = &dead_letters[0];
    assert_eq!((dead_letters.len(), dead_letter.id.as_str(), dead_letter.attempts), (1, ids[0].as_str(), 2));
    assert_eq!((dead_letter.reason.as_str(), dead_letter.died_at), ("no such user", bench.clock.now()));
    assert_eq!((&dead_letter.body[..], dead_letter.attributes["lang"].as_str()), (&b"a"[..], "en"));
    assert_eq!(bench.counts(), (0, 0, 1));
}

#[tokio::test]
async fn a_redriven_message_starts_again_with_its_id() {
    let bench = Bench::new().await;
    let ids = bench.publish(vec![raw("a"), raw("b"), raw("c")]).await;
    kill(&bench, "bad").await;
    let some = vec![ids[2].clone(), ids[0].clone(), ids[2].clone(), "77".into(), "nonsense".into()];
    assert_eq!(bench.queue.redrive(&bench.jobs, Some(some)).await.unwrap(), 2);
    assert_eq!(bench.counts(), (2, 0, 1));
    let leased = bench.lease(9).await;
    assert_eq!(bodies(&leased), ["a", "c"]);
    assert_eq!((leased[1].message.id.as_str(), leased[1].message.attempt), (ids[2].as_str(), 1));
    bench.settle(leased, Settlement::DeadLetter("bad again".into())).await;
    let dead_letters = bench.queue.dead_letters(&bench.jobs, None, 2).unwrap();
    let reasons: Vec<_> =
        dead_letters.iter().map(|dead_letter| (dead_letter.id.as_str(), dead_letter.reason.as_str())).collect();
    assert_eq!(reasons, [(ids[0].as_str(), "bad again"), (ids[1].as_str(), "bad")]);
}

#[tokio::test]
async fn all_dead_letters_are_redriven_in_one_call() {
    let bench = Bench::new().await;
    bench.publish((0..250).map(|n| raw(&n.to_string())).collect()).await;
    for _ in 0..3 {
        kill(&bench, "bad").await;
    }
    assert_eq!(bench.queue.redrive(&bench.jobs, None).await.unwrap(), 250);
    assert_eq!(bench.counts(), (250, 0, 0));
    assert_eq!(bench.queue.redrive(&bench.jobs, None).await.unwrap(), 0);
    assert_eq!(bench.queue.redrive(&EventQueue::topic("unknown"), None).await.unwrap(), 0);
}

#[tokio::test]
async fn dropped_dead_letters_are_gone() {
    let bench = Bench::new().await;
    let ids = bench.publish(vec![raw("a"), raw("b"), raw("c")]).await;
    kill(&bench, "bad").await;
    let some = vec![ids[1].clone(), ids[1].clone(), "77".into(), "nonsense".into()];
    assert_eq!(bench.queue.drop_dead_letters(&bench.jobs, Some(some)).await.unwrap(), 1);
    assert_eq!(bench.queue.drop_dead_letters(&bench.jobs, None).await.unwrap(), 2);
    assert_eq!((bench.counts(), bench.queue.redrive(&bench.jobs, None).await.unwrap()), ((0, 0, 0), 0));
}

#[tokio::test]
async fn a_redriven_message_waits_behind_those_of_its_key() {
    let bench = Bench::new().await;
    bench.publish(vec![keyed("k", "k1"), keyed("k", "k2")]).await;
    kill(&bench, "bad").await;
    assert_eq!(bench.queue.redrive(&bench.jobs, None).await.unwrap(), 1);
    let head = bench.lease(9).await;
    assert_eq!(bodies(&head), ["k2"]);
    bench.settle(head, Settlement::Done).await;
    assert_eq!(bodies(&bench.lease(9).await), ["k1"]);
}
