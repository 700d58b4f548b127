//! Messages of one ordering key come one at a time, in the order of publishing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use isobar::prelude::*;

use super::{JOBS, Recorded, ack, dead_jobs, deliver_later, fail, jobs, worker};
use crate::{TrialResult, World};

crate::trials![
    "PS-7" => messages_of_one_key_are_delivered_in_the_order_of_publishing,
    "PS-7" => messages_of_one_key_are_handled_one_at_a_time,
    "PS-7" => messages_of_one_key_wait_for_one_that_is_tried_again,
    "PS-7" => messages_of_one_key_wait_for_one_that_panicked,
    "PS-7" => a_key_does_not_hold_back_other_keys_nor_messages_without_one,
    "PS-7" => after_a_dead_letter_the_next_of_its_key_is_delivered,
    "PS-7" => after_a_rejected_message_the_next_of_its_key_is_delivered,
    "PS-7" => a_batch_keeps_the_order_of_each_key,
    "PS-7" => keys_that_look_alike_are_different,
];

/// A job of a key. Its body contains its key and its number.
fn job(key: &str, number: u32) -> Outgoing<(String, u32)> {
    Outgoing::new((key.to_owned(), number)).with_ordering_key(key)
}

type Job = Message<(String, u32)>;

/// The numbers of one key, in the order in which they were handled.
fn numbers_of(recorded: &Recorded<Job>, key: &str) -> Vec<u32> {
    recorded.bodies().into_iter().filter(|body| body.0 == key).map(|body| body.1).collect()
}

async fn messages_of_one_key_are_delivered_in_the_order_of_publishing(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<(String, u32)>(&*world, 5, &recorded, ack).await?;
    for number in 0..30 {
        for key in ["a", "b", "c"] {
            jobs::<(String, u32)>(&*world).publish(job(key, number)).await?;
        }
    }
    app.deliver().await?;
    for key in ["a", "b", "c"] {
        assert_eq!(numbers_of(&recorded, key), (0..30).collect::<Vec<_>>(), "key {key}");
    }
    Ok(())
}

/// How many handlers run, and how many did at most.
#[derive(Default)]
struct Running {
    now: AtomicU32,
    most: AtomicU32,
}

impl Running {
    /// Runs for a while.
    async fn run(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn messages_of_one_key_are_handled_one_at_a_time(world: Box<dyn World>) -> TrialResult {
    let (recorded, running) = (Recorded::default(), [Arc::new(Running::default()), Arc::new(Running::default())]);
    let (sink, by_key) = (recorded.clone(), running.clone());
    let app = move |cloud: &Cloud| {
        App::new("worker").on_message(&cloud.topic::<(String, u32)>(JOBS), move |job, _cx| {
            let running = Arc::clone(&by_key[usize::from(job.body.0 == "b")]);
            sink.add(job);
            async move { running.run().await }
        })
    };
    let app = world.run(app).await?;
    let batch: Vec<_> = (0..40).map(|number| job(["a", "b"][number as usize % 2], number)).collect();
    jobs::<(String, u32)>(&*world).publish_batch(batch).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    assert_eq!(recorded.count(), 40);
    for running in running {
        assert_eq!(running.most.load(Ordering::SeqCst), 1);
    }
    Ok(())
}

async fn messages_of_one_key_wait_for_one_that_is_tried_again(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<Job> = Recorded::default();
    let first_fails = |job: &Job| if job.body.1 == 1 && job.attempt < 3 { fail(job) } else { Outcome::Ack };
    let app = worker::<(String, u32)>(&*world, 5, &recorded, first_fails).await?;
    for number in 1..=4 {
        jobs::<(String, u32)>(&*world).publish(job("a", number)).await?;
    }
    app.deliver().await?;
    app.deliver().await?;
    assert_eq!(numbers_of(&recorded, "a"), [1], "a later one did not wait");
    deliver_later(&*world, &*app).await?;
    assert_eq!(numbers_of(&recorded, "a"), [1, 1], "a later one did not wait");
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(numbers_of(&recorded, "a"), [1, 1, 1, 2, 3, 4]);
    Ok(())
}

async fn messages_of_one_key_wait_for_one_that_panicked(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<Job> = Recorded::default();
    let second_panics = |job: &Job| {
        assert!(job.body.1 != 2 || job.attempt > 1, "out of paper");
        Outcome::Ack
    };
    let app = worker::<(String, u32)>(&*world, 5, &recorded, second_panics).await?;
    jobs::<(String, u32)>(&*world).publish_batch((1..=3).map(|number| job("a", number))).await;
    app.deliver().await?;
    assert_eq!(numbers_of(&recorded, "a"), [1, 2]);
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(numbers_of(&recorded, "a"), [1, 2, 2, 3]);
    Ok(())
}

async fn a_key_does_not_hold_back_other_keys_nor_messages_without_one(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<Job> = Recorded::default();
    let a_fails = |job: &Job| if job.body.0 == "a" { fail(job) } else { Outcome::Ack };
    let app = worker::<(String, u32)>(&*world, 5, &recorded, a_fails).await?;
    for number in 0..25 {
        jobs::<(String, u32)>(&*world).publish(job("a", number)).await?;
    }
    for number in 0..25 {
        jobs::<(String, u32)>(&*world).publish(job("b", number)).await?;
        jobs::<(String, u32)>(&*world).publish((String::new(), number)).await?;
    }
    app.deliver().await?;
    assert_eq!(numbers_of(&recorded, "a"), [0]);
    assert_eq!(numbers_of(&recorded, "b"), (0..25).collect::<Vec<_>>());
    assert_eq!(numbers_of(&recorded, "").len(), 25);
    Ok(())
}

async fn after_a_dead_letter_the_next_of_its_key_is_delivered(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<Job> = Recorded::default();
    let first_fails = |job: &Job| if job.body.1 == 1 { fail(job) } else { Outcome::Ack };
    let app = worker::<(String, u32)>(&*world, 2, &recorded, first_fails).await?;
    jobs::<(String, u32)>(&*world).publish_batch((1..=3).map(|number| job("a", number))).await;
    app.deliver().await?;
    assert_eq!(numbers_of(&recorded, "a"), [1]);
    deliver_later(&*world, &*app).await?;
    deliver_later(&*world, &*app).await?;
    assert_eq!(numbers_of(&recorded, "a"), [1, 1, 2, 3]);
    assert_eq!(dead_jobs(&*app).await?.len(), 1);
    Ok(())
}

async fn after_a_rejected_message_the_next_of_its_key_is_delivered(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<Job> = Recorded::default();
    let second_rejected = |job: &Job| if job.body.1 == 2 { Outcome::reject("no") } else { Outcome::Ack };
    let app = worker::<(String, u32)>(&*world, 5, &recorded, second_rejected).await?;
    jobs::<(String, u32)>(&*world).publish_batch((1..=4).map(|number| job("a", number))).await;
    app.deliver().await?;
    assert_eq!(numbers_of(&recorded, "a"), [1, 2, 3, 4]);
    assert_eq!(dead_jobs(&*app).await?.len(), 1);
    Ok(())
}

async fn a_batch_keeps_the_order_of_each_key(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<(String, u32)>(&*world, 5, &recorded, ack).await?;
    let batch: Vec<_> = (0..90).map(|number| job(["a", "b", "c"][number as usize % 3], number)).collect();
    jobs::<(String, u32)>(&*world).publish_batch(batch).await.into_iter().collect::<Result<Vec<_>>>()?;
    app.deliver().await?;
    for (place, key) in ["a", "b", "c"].into_iter().enumerate() {
        let published: Vec<_> = (0..90).skip(place).step_by(3).collect();
        assert_eq!(numbers_of(&recorded, key), published, "key {key}");
    }
    Ok(())
}

async fn keys_that_look_alike_are_different(world: Box<dyn World>) -> TrialResult {
    let recorded: Recorded<Job> = Recorded::default();
    let app = worker::<(String, u32)>(&*world, 5, &recorded, fail).await?;
    let keys = ["a", "A", "a.", "a%20", "a+", "%61", "a/", "a\\", "\"a\"", "a,b", "0", "00"];
    for key in keys {
        jobs::<(String, u32)>(&*world).publish(job(key, 1)).await?;
    }
    app.deliver().await?;
    let recorded: HashSet<_> = recorded.all().into_iter().filter_map(|job| job.ordering_key).collect();
    assert_eq!(recorded, keys.map(str::to_owned).into());
    Ok(())
}
