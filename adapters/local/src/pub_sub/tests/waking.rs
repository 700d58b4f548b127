//! Waiting workers are woken, also when a caller was cancelled.

use std::sync::mpsc;

use futures_util::FutureExt;
use isobar_abstraction::driver::{Clock, Settlement};

use super::*;
use crate::clock::SetClock;

/// Holds the writer until it is dropped, so that a write is surely under way when its future is dropped.
fn hold_writer(store: &Store) -> mpsc::Sender<()> {
    let (hold, held) = mpsc::channel::<()>();
    let wait = move |_: &redb::WriteTransaction| {
        let _ = held.recv();
        Ok(())
    };
    assert!(store.write(wait).now_or_never().is_none());
    hold
}

#[tokio::test]
async fn every_change_wakes_all_workers() {
    let bench = Bench::new().await;
    let changed = bench.queue.changed();
    let (mut one, mut other) = (Box::pin(changed.notified()), Box::pin(changed.notified()));
    let mut woken = || {
        let woken = (one.as_mut().enable(), other.as_mut().enable());
        for worker in [&mut one, &mut other] {
            worker.set(changed.notified());
            worker.as_mut().enable();
        }
        woken
    };
    assert_eq!(woken(), (false, false));
    bench.publish(vec![raw("a"), raw("b")]).await;
    assert_eq!(woken(), (true, true), "publish");
    let leased = bench.lease(9).await;
    assert_eq!(woken(), (false, false), "lease");
    bench.settle(leased, Settlement::DeadLetter("bad".into())).await;
    assert_eq!(woken(), (true, true), "settle");
    bench.queue.redrive(&bench.jobs, None).await.unwrap();
    assert_eq!(woken(), (true, true), "redrive");
    let leased = bench.lease(9).await;
    bench.queue.release(&bench.jobs, leased).await.unwrap();
    assert_eq!(woken(), (true, true), "release");
    bench.queue.wake();
    assert_eq!(woken(), (true, true), "wake");
}

#[tokio::test]
async fn a_publish_whose_future_is_dropped_wakes_all_the_same() {
    let bench = Bench::new().await;
    let changed = bench.queue.changed();
    let mut notified = Box::pin(changed.notified());
    notified.as_mut().enable();
    let hold = hold_writer(&bench.store);
    assert!(bench.queue.publish("jobs", vec![raw("a")]).now_or_never().is_none());
    drop(hold);
    notified.await;
    assert_eq!(bodies(&bench.lease(9).await), ["a"]);
}

#[tokio::test]
async fn a_lease_whose_future_is_dropped_is_released() {
    let bench = Bench::new().await;
    bench.publish(vec![raw("a")]).await;
    let changed = bench.queue.changed();
    let mut notified = Box::pin(changed.notified());
    notified.as_mut().enable();
    let hold = hold_writer(&bench.store);
    assert!(bench.queue.lease(&bench.jobs, 9).now_or_never().is_none());
    drop(hold);
    notified.await;
    let leased = bench.lease(9).await;
    assert_eq!((bodies(&leased), leased[0].message.attempt), (vec!["a"], 1));
}

/// What waits for a time that is days away after the clock was set back is due after its own pause.
#[tokio::test]
async fn a_clock_that_is_set_back_delays_no_message() {
    let day = seconds(86_400);
    for restart in [false, true] {
        let (folder, clock, jobs) = (tempfile::tempdir().unwrap(), SetClock::default(), EventQueue::topic("jobs"));
        let mut queue = Queue::new(open(folder.path()), Arc::new(clock.clone()), None);
        queue.subscribe(vec![jobs.clone()]).await.unwrap();
        clock.advance(day);
        queue.publish("jobs", vec![raw("again"), keyed("k", "first"), keyed("k", "second")]).await.unwrap();
        let mut leased = queue.lease(&jobs, 10).await.unwrap();
        let first = leased.pop().unwrap();
        queue.settle(&jobs, vec![(leased.pop().unwrap(), Settlement::Retry(seconds(3_600)))]).await.unwrap();
        queue.publish("jobs", vec![raw("fresh")]).await.unwrap();
        clock.set_back(day * 2);
        if restart {
            drop(queue);
            queue = Queue::new(open(folder.path()), Arc::new(clock.clone()), None);
            queue.subscribe(vec![jobs.clone()]).await.unwrap();
        }
        let again = queue.lease(&jobs, 10).await.unwrap();
        assert!(bodies(&again).contains(&"fresh"), "{:?}", bodies(&again));
        let first = again.into_iter().find(|leased| leased.message.body == "first").unwrap_or(first);
        queue.settle(&jobs, vec![(first, Settlement::Done)]).await.unwrap();
        assert_eq!(bodies(&queue.lease(&jobs, 10).await.unwrap()), ["second"]);
        clock.advance(seconds(3_599));
        assert_eq!(bodies(&queue.lease(&jobs, 10).await.unwrap()), [""; 0], "a retry never comes early");
        clock.advance(seconds(2));
        assert_eq!(bodies(&queue.lease(&jobs, 10).await.unwrap()), ["again"]);
    }
}

#[tokio::test]
async fn what_waits_to_be_stored_while_the_clock_is_set_back_has_the_new_time() {
    let (folder, clock, jobs) = (tempfile::tempdir().unwrap(), SetClock::default(), EventQueue::topic("jobs"));
    let store = open(folder.path());
    let queue = Queue::new(store.clone(), Arc::new(clock.clone()), None);
    queue.subscribe(vec![jobs.clone()]).await.unwrap();
    queue.publish("jobs", vec![raw("again")]).await.unwrap();
    let leased = queue.lease(&jobs, 1).await.unwrap().pop().unwrap();
    let hold = hold_writer(&store);
    let mut settled = Box::pin(queue.settle(&jobs, vec![(leased, Settlement::Retry(seconds(5)))]));
    assert!(settled.as_mut().now_or_never().is_none());
    clock.set_back(seconds(86_400));
    drop(hold);
    settled.await.unwrap();
    assert_eq!(queue.next_due(&jobs).unwrap(), Some(clock.now() + seconds(5)));
    let hold = hold_writer(&store);
    let mut published = Box::pin(queue.publish("jobs", vec![raw("fresh")]));
    assert!(published.as_mut().now_or_never().is_none());
    clock.set_back(seconds(86_400));
    drop(hold);
    published.await.unwrap();
    assert_eq!(queue.next_due(&jobs).unwrap(), Some(clock.now()));
}
