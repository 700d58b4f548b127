//! Google's emulator of Pub/Sub pushes to isobar's host, in real time, through the subscriptions of `deployment`. In all
//! other trials a double pushes.
#![allow(clippy::unwrap_used, clippy::panic)] // a trial fails by panicking

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use isobar::driver::pub_sub::BacklogPart;
use isobar::prelude::*;
use isobar::{Cloud, EventQueue, ObjectChange, ObjectEvent};
use isobar_conformance::target::Check;
use isobar_conformance::{RunningApp, TrialResult, World};
use isobar_e2e::backends::gcp::Services;
use isobar_e2e::backends::gcp::deployed::Deployed;
use parking_lot::Mutex;

const TRIALS: &[(&str, Check<Deployed>)] = &[
    ("each_message_is_pushed_once", |gcp| Box::pin(each_message_is_pushed_once(gcp))),
    ("a_failing_message_is_retried_until_it_is_a_dead_letter", |gcp| {
        Box::pin(a_failing_message_is_retried_until_it_is_a_dead_letter(gcp))
    }),
    ("an_ordering_key_keeps_its_order_when_one_fails", |gcp| Box::pin(a_key_keeps_its_order(gcp))),
    ("a_paused_queue_is_leased_and_not_pushed", |gcp| Box::pin(a_paused_queue_is_leased_and_not_pushed(gcp))),
    ("the_events_of_a_bucket_are_pushed", |gcp| Box::pin(the_events_of_a_bucket_are_pushed(gcp))),
];

fn main() -> ExitCode {
    isobar_conformance::target::run_checks("gcp::push", Duration::from_secs(60), TRIALS, || {
        let (services, guard) = Services::start()?;
        Ok((Deployed { services, executable: None, environment: BTreeMap::new() }, guard))
    })
}

/// Body and attempt of each message that a handler received.
type Seen = Arc<Mutex<Vec<(u32, u32)>>>;

/// An app that handles the topic `jobs`, with short backoff.
fn worker<F>(
    cloud: &Cloud,
    attempts: u32,
    seen: &Seen,
    answer: impl Fn(&Message<u32>) -> F + Send + Sync + 'static,
) -> App
where
    F: Into<Outcome> + Send + 'static,
{
    let seen = Arc::clone(seen);
    let jobs = cloud.topic::<u32>("jobs").subscription("default").with_max_attempts(attempts);
    let jobs = jobs.with_backoff(Duration::from_millis(50), Duration::from_millis(100));
    App::new("worker").on_message(jobs, move |job: Message<u32>, _cx| {
        let outcome = answer(&job).into();
        seen.lock().push((job.body, job.attempt));
        async move { outcome }
    })
}

async fn each_message_is_pushed_once(gcp: Deployed) -> TrialResult {
    let (world, seen) = (gcp.open_world().await?, Seen::default());
    let app = world.serve(|cloud| worker(cloud, 3, &seen, |_| Outcome::Ack)).await?;
    for sent in world.cloud().topic::<u32>("jobs").publish_batch(0..200).await {
        sent?;
    }
    app.deliver().await?;
    let mut seen = seen.lock().clone();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).map(|number| (number, 1)).collect::<Vec<_>>());
    assert_eq!(app.most_pushes(), 1);
    Ok(())
}

/// Each attempt is a copy that contains the number of attempts, which the emulator does not report; and it can be redriven.
async fn a_failing_message_is_retried_until_it_is_a_dead_letter(gcp: Deployed) -> TrialResult {
    let (world, seen, repaired) = (gcp.open_world().await?, Seen::default(), Arc::new(AtomicBool::new(false)));
    let is_repaired = Arc::clone(&repaired);
    let answer = move |job: &Message<u32>| match job.body {
        7 if !is_repaired.load(Ordering::Relaxed) => Outcome::retry("the seventh fails"),
        8 => Outcome::reject("the eighth is wrong"),
        _ => Outcome::Ack,
    };
    let app = world.serve(|cloud| worker(cloud, 3, &seen, answer)).await?;
    for sent in world.cloud().topic::<u32>("jobs").publish_batch([6, 7, 8, 9]).await {
        sent?;
    }
    app.deliver().await?;
    let mut tried = std::mem::take(&mut *seen.lock());
    tried.sort_unstable();
    assert_eq!(tried, [(6, 1), (7, 1), (7, 2), (7, 3), (8, 1), (9, 1)]);
    let mut dead = app.dead_letters(&EventQueue::topic("jobs")).await?;
    dead.sort_by_key(|dead_letter| dead_letter.body.clone());
    let found: Vec<_> = dead.iter().map(|it| (it.body.as_ref(), it.attempts, it.reason.as_str())).collect();
    let gave_up = "gave up after 3 attempts: the seventh fails";
    assert_eq!(found, [(b"7".as_slice(), 3, gave_up), (b"8".as_slice(), 1, "the eighth is wrong")]);
    repaired.store(true, Ordering::Relaxed);
    assert_eq!(app.redrive(&EventQueue::topic("jobs")).await?, 2);
    app.deliver().await?;
    let mut tried = seen.lock().clone();
    tried.sort_unstable();
    assert_eq!(tried, [(7, 1), (8, 1)]);
    Ok(())
}

/// The emulator pushes the failing message again after a second, before later messages of its key.
async fn a_key_keeps_its_order(gcp: Deployed) -> TrialResult {
    let (world, seen, failed) = (gcp.open_world().await?, Seen::default(), AtomicBool::new(false));
    let answer = move |job: &Message<u32>| match job.body {
        11 if !failed.swap(true, Ordering::Relaxed) => Outcome::retry("once"),
        _ => Outcome::Ack,
    };
    let app = world.serve(|cloud| worker(cloud, 5, &seen, answer)).await?;
    let jobs = world.cloud().topic::<u32>("jobs");
    let of = |key: &'static str, numbers: std::ops::Range<u32>| {
        numbers.map(move |number| Outgoing::new(number).with_ordering_key(key))
    };
    for sent in jobs.publish_batch(of("a", 10..14).chain(of("b", 20..24))).await {
        sent?;
    }
    app.deliver().await?;
    let seen: Vec<u32> = seen.lock().iter().map(|(body, _)| *body).collect();
    let (of_a, of_b): (Vec<u32>, Vec<u32>) = seen.iter().partition(|body| **body < 20);
    assert_eq!(of_a, [10, 11, 11, 12, 13]);
    assert_eq!(of_b, [20, 21, 22, 23]);
    let last_of_b = seen.iter().position(|body| *body == 23);
    assert!(last_of_b < seen.iter().rposition(|body| *body == 11), "another key waited: {seen:?}");
    Ok(())
}

async fn a_paused_queue_is_leased_and_not_pushed(gcp: Deployed) -> TrialResult {
    let (world, seen) = (gcp.open_world().await?, Seen::default());
    let app = world.serve(|cloud| worker(cloud, 3, &seen, |_| Outcome::Ack)).await?;
    let backlog = world.backlog(&EventQueue::topic("jobs")).await?;
    let paused = backlog.pause().await?;
    assert_eq!(backlog.pause().await?, "", "paused twice");
    for sent in world.cloud().topic::<u32>("jobs").publish_batch([1, 2]).await {
        sent?;
    }
    let first = backlog.lease(BacklogPart::Waiting, 1, Duration::from_secs(60)).await?;
    assert_eq!(first.len(), 1);
    let receipts = first.iter().map(|leased| leased.receipt.clone()).collect();
    backlog.acknowledge(BacklogPart::Waiting, receipts).await.into_iter().collect::<isobar::Result<()>>()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(seen.lock().is_empty(), "pushed while paused");
    backlog.resume(&paused).await?;
    let other = if &first[0].message.message.body[..] == b"1" { 2 } else { 1 };
    let start = Instant::now();
    while seen.lock().is_empty() && start.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(app);
    assert_eq!(*seen.lock(), [(other, 1)]);
    Ok(())
}

/// fake-gcs-server publishes to the topic of the bucket's notification, which the emulator pushes.
async fn the_events_of_a_bucket_are_pushed(gcp: Deployed) -> TrialResult {
    let world = gcp.open_world().await?;
    let seen = Arc::<Mutex<Vec<(String, ObjectChange)>>>::default();
    let heard = Arc::clone(&seen);
    let app = world.serve(move |cloud| {
        App::new("indexer").on_object(&cloud.bucket("pages"), move |event: ObjectEvent, _cx| {
            heard.lock().push((event.key, event.change));
            async {}
        })
    });
    let app = app.await?;
    let pages = world.cloud().bucket("pages");
    pages.put("docs/käse 1%.html", "<p>").await?;
    pages.put("docs/käse 1%.html", "<p>cheese").await?;
    pages.delete("docs/käse 1%.html").await?;
    let (expected, started) = (3, Instant::now());
    while seen.lock().len() < expected && started.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Cloud Storage also reports the deletion of the overwritten object, which isobar does not pass to the handler.
    app.deliver().await?;
    let mut seen = seen.lock().clone();
    seen.sort_by_key(|(_, change)| match change {
        ObjectChange::Created { size } => *size,
        _ => u64::MAX,
    });
    let at = |change| ("docs/käse 1%.html".to_owned(), change);
    let created = |size| at(ObjectChange::Created { size });
    assert_eq!(seen, [created(3), created(9), at(ObjectChange::Deleted)]);
    Ok(())
}
